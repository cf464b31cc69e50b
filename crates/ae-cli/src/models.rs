//! The models that a command draws with.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ae_settings::{EmbeddingRef, LoraRef, Overrides, Settings};
use ae_tensor::{DeviceChoice, DeviceSpec, FloatType};
use attend_and_excite::{FoundModel, LoadedModel, chosen_devices, weights_choice};

use crate::args::DeviceArgs;
use crate::error::CliError;
use crate::output::{Download, say};

/// The model of the settings, or the embedded one.
pub(crate) fn find(settings: &Settings, download: &mut Download) -> Result<FoundModel, CliError> {
    let Some(name) = &settings.model else { return Ok(FoundModel::embedded()?) };
    let found = FoundModel::find(name, &weights_choice(settings), download)?;
    if let Some(warning) = &found.warning {
        say(&format!("warning: {warning}"));
    }
    Ok(found)
}

/// The devices that a command line asks for, at least one.
pub(crate) fn devices(choices: &[DeviceChoice], dtype: FloatType, quiet: bool) -> Vec<DeviceSpec> {
    chosen_devices(choices, dtype, &mut |line| {
        if !quiet {
            say(line);
        }
    })
}

/// The model of the settings on every device, at least one.
pub(crate) fn load(
    given: &Overrides,
    devices: &DeviceArgs,
    quiet: bool,
    interrupted: &Arc<AtomicBool>,
) -> Result<Vec<LoadedModel>, CliError> {
    let mut settings = Settings::default();
    settings.apply(given);
    let mut download = Download::new(quiet).interrupted_by(Arc::clone(interrupted));
    let found = find(&settings, &mut download)?;
    let on = self::devices(&devices.device, settings.dtype, quiet);
    let models = LoadedModel::load_all(&found, &settings, devices.low_memory, &on)?;
    if !quiet {
        models[0].pipeline.notice().into_iter().for_each(|note| say(&format!("note: {note}")));
    }
    say_of_additions(&models, quiet);
    Ok(models)
}

/// The models with these LoRAs and embeddings.
pub(crate) fn with_additions(
    models: Vec<LoadedModel>,
    loras: &[LoraRef],
    embeddings: &[EmbeddingRef],
    quiet: bool,
) -> Result<Vec<LoadedModel>, CliError> {
    if models[0].loras() == loras && models[0].embeddings() == embeddings {
        return Ok(models);
    }
    let models = LoadedModel::all_with_additions(&models, loras, embeddings)?;
    say_of_additions(&models, quiet);
    Ok(models)
}

fn say_of_additions(models: &[LoadedModel], quiet: bool) {
    if !quiet {
        models[0].pipeline.notes().iter().for_each(|note| say(&format!("note: {note}")));
    }
}
