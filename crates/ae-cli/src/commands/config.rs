use ae_settings::{Kind, all_options};
use attend_and_excite::{Align, UserConfig, table};

use crate::args::ConfigCommand;
use crate::args::defaults::{UserDefaults, checked, is_list, means, name, option, options};
use crate::error::CliError;
use crate::output::{print, print_path, say};

/// Shows the defaults of options and where they come from, or changes the config file.
pub(crate) fn config(command: Option<ConfigCommand>) -> Result<(), CliError> {
    let options = options();
    match command {
        None => {
            let defaults = UserDefaults::read()?;
            let mut rows = vec![["option", "value", "from"].map(str::to_owned)];
            rows.extend(options.iter().map(|option| {
                let (value, from) = match defaults.set.get(option.get_id().as_str()) {
                    // Of a switch, the value says whether its option is there.
                    Some((values, from)) => {
                        let is_negated = option.get_long().is_some_and(|long| long.starts_with("no-"));
                        let off = if is_negated { "true" } else { "false" };
                        let on = if is_negated { "false".to_owned() } else { values.join(",") };
                        (if values.is_empty() { off.to_owned() } else { on }, from.as_str())
                    }
                    None => (usual(option), ""),
                };
                [name(option).to_owned(), value, from.to_owned()]
            }));
            print(&table([Align::Left; 3], &rows));
            match UserConfig::from_env() {
                Ok(config) => say(&format!("config file: {}", config.path().display())),
                Err(error) => say(&error.to_string()),
            }
        }
        Some(ConfigCommand::Path) => print_path(UserConfig::from_env()?.path()),
        Some(ConfigCommand::Set { name: key, values }) => {
            let option = option(&options, &key, "")?;
            checked(option, &values, "")?;
            let mut config = UserConfig::from_env()?;
            let key = spelling(&config, option)?;
            config.set(&key, &values, is_list(option))?;
            config.save()?;
        }
        Some(ConfigCommand::Unset { name: key }) => {
            let mut config = UserConfig::from_env()?;
            let key =
                options.iter().find(|option| means(option, &key)).map_or(Ok(key), |found| spelling(&config, found))?;
            if !config.unset(&key)? {
                return Err(CliError::Usage(format!("'{key}' is not in '{}'", config.path().display())));
            }
            config.save()?;
        }
    }
    Ok(())
}

/// How the file spells an option already, or its name.
fn spelling(config: &UserConfig, option: &clap::Arg) -> Result<String, CliError> {
    let found = config.values()?.into_keys().find(|key| means(option, key));
    Ok(found.unwrap_or_else(|| name(option).to_owned()))
}

/// The value of an option that nobody has set.
fn usual(option: &clap::Arg) -> String {
    if let Some((_, setting)) = all_options().find(|(_, setting)| setting.name == option.get_id().as_str()) {
        let default = crate::args::default_of(setting);
        return if setting.kind == Kind::Switch { setting.is_negated().to_string() } else { default };
    }
    let values: Vec<_> = option.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    values.join(",")
}
