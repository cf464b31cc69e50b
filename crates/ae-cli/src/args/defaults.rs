//! Defaults of options that the user has set, in the environment and the config file.

use std::collections::BTreeMap;

use ae_settings::{Group, all_options};
use attend_and_excite::{UserConfig, UserConfigError};
use clap::{Arg, ArgAction, Args as _, Command, CommandFactory as _, FromArgMatches as _};

use super::{Cli, GenerateArgs};
use crate::error::CliError;

/// Which value an option has where there are several.
pub(crate) const ORDER: &str = "An option is what the command line says, else the environment (AE_STEPS=30 for --steps, lists with commas), else the \
                                config file (`ae config`), else what suits the model";

/// Options beside those of the settings.
const OTHERS: [&str; 9] =
    ["device", "batch_size", "low_memory", "model_dir", "lora_dir", "embedding_dir", "vae_dir", "output", "preview"];

/// Commands that do only what their command line says: a converted model is for others, and a device is tested by its name.
const WITHOUT: [&str; 2] = ["convert", "self-test"];

/// The options whose default can be set: those of `ae generate` that are not for one picture alone.
pub(crate) fn options() -> Vec<Arg> {
    let is_setting = |id: &str| {
        all_options().any(|(_, option)| {
            option.name == id && !matches!(option.group, Group::Prompt | Group::Record | Group::InitImage)
        })
    };
    let command = GenerateArgs::augment_args(Command::new("generate"));
    let is_one = |arg: &&Arg| OTHERS.contains(&arg.get_id().as_str()) || is_setting(arg.get_id().as_str());
    command.get_arguments().filter(is_one).cloned().collect()
}

/// What the config file calls an option: as the command line does, and a switch by what it switches.
pub(crate) fn name(option: &Arg) -> &str {
    let long = option.get_long().unwrap_or_default();
    long.strip_prefix("no-").unwrap_or(long)
}

/// What the environment calls an option.
pub(crate) fn variable(option: &Arg) -> String {
    format!("AE_{}", name(option).replace('-', "_").to_uppercase())
}

/// Whether an option has several values.
pub(crate) fn is_list(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Append) || option.get_value_delimiter().is_some()
}

/// Whether a key of the config file means an option: its name here or in the settings, with hyphens or underscores.
pub(crate) fn means(option: &Arg, key: &str) -> bool {
    let key = key.replace('_', "-");
    key == name(option) || key == option.get_id().as_str().replace('_', "-")
}

/// The option that a key means; `place` is where it stands.
pub(crate) fn option<'a>(options: &'a [Arg], key: &str, place: &str) -> Result<&'a Arg, CliError> {
    options.iter().find(|option| means(option, key)).ok_or_else(|| {
        let likeness = |option: &&Arg| strsim::jaro_winkler(&key.replace('_', "-").to_lowercase(), name(option));
        let nearest = options.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b))).map(name).unwrap_or_default();
        CliError::Usage(format!(
            "'{key}' {place}is no option whose default can be set; the nearest is '{nearest}' (`ae config` lists them)"
        ))
    })
}

/// Checks the values of an option as its command line would. What it returns are values for clap: of a switch that is off, none.
pub(crate) fn checked(option: &Arg, texts: &[String], place: &str) -> Result<Vec<String>, CliError> {
    let refuse = |reason: &str| CliError::Usage(format!("'{}' {place}: {reason}", name(option)));
    let long = option.get_long().unwrap_or_default();
    if matches!(option.get_action(), ArgAction::SetTrue) {
        let is_on = match texts {
            [text] if ["true", "1"].contains(&text.as_str()) => true,
            [text] if ["false", "0"].contains(&text.as_str()) => false,
            _ => return Err(refuse("expected true or false")),
        };
        return Ok(if is_on == long.starts_with("no-") { Vec::new() } else { vec!["true".to_owned()] });
    }
    if texts.len() > 1 && !is_list(option) {
        return Err(refuse("expected one value"));
    }
    let command = GenerateArgs::augment_args(Command::new("generate").no_binary_name(true));
    let line = texts.iter().map(|text| format!("--{long}={text}"));
    command.try_get_matches_from(line).map_err(|error| {
        let text = error.to_string();
        let text = text.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        refuse(text.trim_start_matches("error: "))
    })?;
    Ok(texts.to_vec())
}

/// The defaults that the user has set.
pub(crate) struct UserDefaults {
    /// By the ids of clap: the values, and where they come from.
    pub(crate) set: BTreeMap<String, (Vec<String>, String)>,
}

impl UserDefaults {
    /// Those of the environment, and of the config file where the environment says nothing.
    pub(crate) fn read() -> Result<Self, CliError> {
        let config = match UserConfig::from_env() {
            // Without a home folder there is no file.
            Err(UserConfigError::NoPlace) => None,
            config => Some(config?),
        };
        Self::of(config.as_ref(), |variable| std::env::var_os(variable).map(|text| text.to_string_lossy().into_owned()))
    }

    fn of(config: Option<&UserConfig>, environment: impl Fn(&str) -> Option<String>) -> Result<Self, CliError> {
        let (options, mut set) = (options(), BTreeMap::new());
        if let Some(config) = config {
            let place = format!("in '{}' ", config.path().display());
            for (key, texts) in config.values()? {
                let option = option(&options, &key, &place)?;
                let value = (checked(option, &texts, place.trim_end())?, "config file".to_owned());
                if set.insert(option.get_id().to_string(), value).is_some() {
                    return Err(CliError::Usage(format!("'{}' {place}is there twice, also as '{key}'", name(option))));
                }
            }
        }
        for option in &options {
            let variable = variable(option);
            if let Some(text) = environment(&variable).filter(|text| !text.is_empty()) {
                let texts: Vec<_> =
                    if is_list(option) { text.split(',').map(str::to_owned).collect() } else { vec![text] };
                let value = checked(option, &texts, &format!("in the variable {variable}"))?;
                set.insert(option.get_id().to_string(), (value, variable));
            }
        }
        Ok(Self { set })
    }

    /// The command line of the program, with these defaults.
    pub(crate) fn parse(&self) -> Result<Cli, clap::Error> {
        let mut command = self.lay_under(Cli::command());
        let matches = command.try_get_matches_from_mut(std::env::args_os())?;
        Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }

    fn lay_under(&self, command: Command) -> Command {
        let command = command.mut_subcommands(|inner| self.lay_under(inner));
        let name = command.get_name().to_owned();
        if WITHOUT.contains(&name.as_str()) {
            return command;
        }
        command.mut_args(|arg| match self.set.get(arg.get_id().as_str()) {
            // The folder of pictures is not that of an evaluation.
            Some(_) if arg.get_id() == "output" && !["generate", "explain"].contains(&name.as_str()) => arg,
            Some((values, _)) if !values.is_empty() => arg.default_values(values),
            _ => arg,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn config(text: &str) -> (tempfile::TempDir, UserConfig) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        let config = UserConfig::open(&path).unwrap();
        (folder, config)
    }

    fn defaults(text: &str, environment: &[(&str, &str)]) -> Result<UserDefaults, String> {
        let (_folder, config) = config(text);
        let variable = |name: &str| environment.iter().find(|(other, _)| *other == name).map(|(_, v)| (*v).to_owned());
        UserDefaults::of(Some(&config), variable).map_err(|error| error.to_string())
    }

    /// What a command line then is.
    fn parsed(defaults: &UserDefaults, line: &[&str]) -> Cli {
        let words = std::iter::once("ae").chain(line.iter().copied()).map(OsString::from);
        let matches = defaults.lay_under(Cli::command()).try_get_matches_from(words).unwrap();
        Cli::from_arg_matches(&matches).unwrap()
    }

    fn generated(defaults: &UserDefaults, line: &[&str]) -> Box<GenerateArgs> {
        match parsed(defaults, &[&["generate", "a cat"], line].concat()).command {
            crate::args::Command::Generate(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_before_the_environment_and_that_before_the_file() {
        let file = "steps = 10\nguidance_scale = 3.5\nwidth = 256\nlora = ['a:0.5', 'b']\nsmoothing = false\nvae-tiling = true\n\
                    output = 'mine'\nlow-memory = true\ndevice = ['cpu', 'cpu']";
        let environment =
            [("AE_STEPS", "20"), ("AE_WIDTH", "512"), ("AE_LORA", "c,d:0.25"), ("AE_VAE_TILING", "false")];
        let defaults = defaults(file, &environment).unwrap();
        let args = generated(&defaults, &["--width", "64"]);
        let given = &args.settings.given;
        assert_eq!((given.steps, given.guidance_scale, given.width), (Some(20), Some(3.5), Some(64)));
        let loras: Vec<_> = given.loras.iter().flatten().map(|lora| (lora.name.as_str(), lora.strength)).collect();
        assert_eq!(loras, [("c", 1.0), ("d", 0.25)]);
        assert_eq!((given.attend_and_excite.smoothing, given.vae_tiling), (Some(false), None));
        assert_eq!((args.output.to_str(), args.devices.low_memory, args.devices.device.len()), (Some("mine"), true, 2));
        // Alone, the command line's.
        let said = &args.settings.said;
        assert_eq!((said.width, said.steps, said.loras.is_some()), (Some(64), None, false));
        assert_eq!(generated(&defaults, &["--lora", "e"]).settings.given.loras.as_ref().map(Vec::len), Some(1));
    }

    #[test]
    fn other_commands_have_the_options_that_they_share_and_some_have_none() {
        let defaults =
            defaults("device = 'cuda'\noutput = 'mine'\nmodel = 'sd15'\nsteps = 9\ndtype = 'f16'", &[]).unwrap();
        let all = format!("{:?}", parsed(&defaults, &["eval", "run"]).command);
        assert!(
            all.contains("output: \"evaluation\"") && all.contains("steps: Some(9)") && all.contains("Cuda"),
            "{all}"
        );
        let all = format!("{:?}", parsed(&defaults, &["serve"]).command);
        assert!(all.contains("model: [\"sd15\"]") && all.contains("dtype: Some(F16)") && all.contains("Cuda"), "{all}");
        let all = format!("{:?}", parsed(&defaults, &["self-test"]).command);
        assert!(all.contains("device: []") && all.contains("model: None") && all.contains("dtype: F32"), "{all}");
        let all = format!("{:?}", parsed(&defaults, &["tokens", "a cat"]).command);
        assert!(all.contains("model: Some(\"sd15\")"), "{all}");
    }

    #[test]
    fn what_is_no_option_or_no_value_is_refused_with_its_place() {
        for (file, said) in [
            ("stepps = 3", "'stepps' in '"),
            ("prompt = 'a cat'", "'prompt' in '"),
            ("seeds = 3", "'seeds' in '"),
            ("from = 'x.png'", "'from' in '"),
            ("init-image = 'x.png'", "'init-image' in '"),
            ("steps = 'many'", "invalid value 'many' for '--steps <N>'"),
            ("steps = [1, 2]", "expected one value"),
            ("vae-tiling = 3", "expected true or false"),
            ("device = 'tpu'", "'tpu' is not a device"),
            ("lora = ['a']\nloras = ['b']", "is there twice, also as 'loras'"),
        ] {
            let error = defaults(file, &[]).err().unwrap_or_else(|| panic!("{file}"));
            assert!(error.contains(said) && error.contains("config.toml'") && !error.contains('\n'), "{file}: {error}");
        }
        let error = defaults("stepps = 3", &[]).err().unwrap();
        assert!(error.ends_with("the nearest is 'steps' (`ae config` lists them)"), "{error}");
        let error = defaults("", &[("AE_WIDTH", "wide")]).err().unwrap();
        assert!(error.starts_with("'width' in the variable AE_WIDTH: invalid value 'wide'"), "{error}");
    }

    #[test]
    fn no_variable_has_another_meaning_already() {
        let taken = ["AE_TOKEN", "AE_SHARDS", "AE_TEST_DEVICE"];
        let mut variables: Vec<_> = options().iter().map(variable).collect();
        assert!(variables.iter().all(|name| !taken.contains(&name.as_str())), "{variables:?}");
        assert!(variables.contains(&"AE_MODEL".to_owned()) && variables.contains(&"AE_OUTPUT".to_owned()));
        let count = variables.len();
        variables.sort();
        variables.dedup();
        assert_eq!(variables.len(), count);
    }

    #[test]
    fn what_the_command_line_says_of_smoothing_is_not_undone_by_a_default() {
        let defaults = defaults("smoothing = false", &[]).unwrap();
        let given = &generated(&defaults, &["--sigma", "0.7"]).settings.given.attend_and_excite;
        assert_eq!((given.smoothing, given.sigma), (None, Some(0.7)));
    }
}
