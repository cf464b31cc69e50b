//! A model as one file in the original layout.

use std::fmt::Debug;
use std::path::Path;

use ae_checkpoint::SingleFile;

use super::{ConvertError, Opened};
use crate::model_files::ModelFiles as _;
use crate::single_file::SingleFileModel;

/// Writes the file, and returns what it does not carry.
pub(super) fn write(model: &Opened<'_>, path: &Path) -> Result<Vec<String>, ConvertError> {
    let refuse = |reason: String| ConvertError::SingleFile { path: path.to_owned(), reason };
    let (unet, text_encoder, vae) = (model.unet()?, model.text_encoder()?, model.vae()?);
    let joined = SingleFile::join(model.files.family()?, &unet, &text_encoder, &vae);
    let joined = joined.map_err(|error| refuse(error.to_string()))?;
    let (mut refused, mut notes) = (None, Vec::new());
    let written = ae_files::write_file_by_path(path, |draft| {
        joined.write(draft)?;
        // Nothing but the weights tells what the model is: a reader must find the same in them.
        match read_again(model, draft) {
            Ok(said) => notes = said,
            Err(reason) => {
                refused = Some(reason);
                return Err(std::io::Error::other("the file does not hold the model"));
            }
        }
        Ok(())
    });
    if let Some(reason) = refused {
        return Err(refuse(reason));
    }
    written.map_err(|cause| ConvertError::Write { path: path.to_owned(), cause })?;
    Ok(notes)
}

/// Reads the file as others do; returns what it does not carry.
fn read_again(model: &Opened<'_>, draft: &Path) -> Result<Vec<String>, String> {
    let predicts = model.scheduler.prediction_type();
    let found = |error: crate::LoadError| error.to_string();
    let file = SingleFileModel::open(draft, Some(predicts)).map_err(found)?;
    let mut unet = file.unet().map_err(found)?.config;
    let mut notes = Vec::new();
    if unet.sample_size != model.unet.config.sample_size {
        let [height, width] = model.unet.config.sample_size;
        notes.push(format!("the file does not carry the usual size of latents, {height} x {width}"));
        unet.sample_size = model.unet.config.sample_size;
    }
    same("U-Net", &unet, &model.unet.config)?;
    same("text encoder", &file.text_encoders().map_err(found)?[0].config, &model.text_encoder.config)?;
    let mut vae = file.vae().map_err(found)?.config;
    if vae.scaling_factor.to_bits() != model.vae.config.scaling_factor.to_bits() {
        let factor = model.vae.config.scaling_factor;
        return Err(format!("nothing in it says the autoencoder's scaling_factor, {factor}"));
    }
    vae.scaling_factor = model.vae.config.scaling_factor;
    same("autoencoder", &vae, &model.vae.config)?;
    notes.push(format!(
        "the file does not carry the sampler, the noise schedule, and what the U-Net predicts ({}; readers guess it, \
         --prediction-type says it)",
        predicts.name()
    ));
    if !model.files.texts().map_err(found)?.is_empty() {
        notes.push("the file does not carry the tokenizer and the model's own settings: readers take CLIP's and the usual ones".to_owned());
    }
    Ok(notes)
}

/// Compares what the weights tell with what the model is.
fn same<T: PartialEq + serde::Serialize + Debug>(network: &str, told: &T, is: &T) -> Result<(), String> {
    if told == is {
        return Ok(());
    }
    let json = |config: &T| serde_json::to_value(config).unwrap_or_default();
    let (told, is) = (json(told), json(is));
    let fields = is.as_object().into_iter().flatten().filter(|(name, value)| told.get(name.as_str()) != Some(*value));
    let fields: Vec<_> = fields.map(|(name, value)| format!("{name} {value}")).collect();
    Err(format!("nothing in it says of the {network}: {}", fields.join(", ")))
}
