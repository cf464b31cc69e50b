use std::io::{IsTerminal as _, stdin};

use ae_hub::{Hub, Removal};
use ae_settings::Settings;
use attend_and_excite::{FoundModel, cached_models, model_table, size, weights_choice};

use crate::Verbosity;
use crate::args::{ModelsCommand, RemovalArgs};
use crate::error::CliError;
use crate::interrupts::Interrupts;
use crate::output::{Download, print, print_path, say};

/// Lists the models at hand, or changes what is in the hub's cache.
pub(crate) fn models(command: Option<ModelsCommand>, verbosity: Verbosity) -> Result<(), CliError> {
    match command {
        None => {
            let (table, others) = model_table()?;
            print(&table);
            if others > 0 {
                say(&format!(
                    "{others} other model(s) in the cache are no Stable Diffusion 1 or 2 in diffusers' layout"
                ));
            }
        }
        Some(ModelsCommand::Pull { name, settings }) => {
            let mut all = Settings::default();
            all.apply(&settings.given);
            let mut download = Download::new(verbosity.quiet).interrupted_by(Interrupts::listen()?.flag());
            let found = FoundModel::find(&name, &weights_choice(&all), &mut download)?;
            found.warning.iter().for_each(|warning| say(&format!("warning: {warning}")));
            print_path(found.source.name().as_ref());
        }
        Some(ModelsCommand::Rm { names, removal }) => {
            let hub = Hub::from_env()?;
            for name in &names {
                for model in cached_models(&hub, name)? {
                    let title = format!("{} at {} in '{}'", model.repo, model.commit, model.folder.display());
                    remove(&title, &hub.removal_of(&model), &removal)?;
                }
            }
        }
        Some(ModelsCommand::Clean { removal }) => {
            let leftovers = Hub::from_env()?.leftovers()?;
            remove("downloads that broke off, and contents that no model has", &leftovers, &removal)?;
        }
    }
    Ok(())
}

/// Removes files once the person has agreed.
fn remove(title: &str, removal: &Removal, args: &RemovalArgs) -> Result<(), CliError> {
    let what = format!("{title}: {} file(s), {}", removal.files.len(), size(removal.bytes));
    if removal.files.is_empty() {
        say(&format!("{what}; there is nothing to remove"));
        return Ok(());
    }
    if !args.yes {
        if !stdin().is_terminal() {
            return Err(CliError::Usage(format!("{what}; --yes removes them where there is no terminal to ask at")));
        }
        say(&format!("{what}; remove them? [y/N]"));
        let mut answer = String::new();
        if stdin().read_line(&mut answer).is_err() || !["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
            say("nothing was removed");
            return Ok(());
        }
    }
    removal.apply()?;
    say(&format!("removed {what}"));
    Ok(())
}
