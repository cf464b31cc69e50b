use std::path::Path;

use ae_checkpoint::{Checkpoint, Family, SingleFile};
use ae_clip::{ClipTextModelConfig, ClipTokenizer};
use ae_scheduler::{PredictionType, SchedulerConfig};
use ae_settings::Vocabulary;
use ae_tensor::Component;
use ae_unet::UNetConfig;
use ae_vae::VaeConfig;

use crate::folder::{Files, Folder};
use crate::single_file::SingleFileModel;
use crate::{LoadError, ModelDefaults, ModelSource};

/// A model opened for loading, wherever it lies. Nothing is read before it is asked for; of weights, only the names and
/// shapes.
pub trait ModelFiles {
    /// The generation of Stable Diffusion.
    ///
    /// # Errors
    ///
    /// When the file that tells it is missing or damaged.
    fn family(&self) -> Result<Family, LoadError>;

    /// The tokenizer of each text encoder.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged. So it is with all that follow.
    fn tokenizers(&self) -> Result<Vec<ClipTokenizer>, LoadError>;

    /// The text encoders; Stable Diffusion 1 and 2 have one.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, or describes another kind of network.
    fn text_encoders(&self) -> Result<Vec<Component<ClipTextModelConfig>>, LoadError>;

    /// The noise predictor.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, or describes another kind of network.
    fn unet(&self) -> Result<Component<UNetConfig>, LoadError>;

    /// The autoencoder.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, or describes another kind of network.
    fn vae(&self) -> Result<Component<VaeConfig>, LoadError>;

    /// The noise schedule, and the model's own sampler.
    ///
    /// # Errors
    ///
    /// When the file is missing or damaged.
    fn scheduler(&self) -> Result<SchedulerConfig, LoadError>;

    /// The settings that suit the model.
    ///
    /// # Errors
    ///
    /// When the file of them is damaged.
    fn defaults(&self) -> Result<ModelDefaults, LoadError> {
        Ok(ModelDefaults::default())
    }

    /// The words that it knows, of a model of few things.
    ///
    /// # Errors
    ///
    /// When the file of them is damaged.
    fn vocabulary(&self) -> Result<Option<Vocabulary>, LoadError> {
        Ok(None)
    }

    /// The small files that a copy of the model has as they are: those of its tokenizer, and its own settings. By their paths within the
    /// folder; none where the tokenizer is built in.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    fn texts(&self) -> Result<Vec<(&'static str, String)>, LoadError> {
        Ok(Vec::new())
    }

    /// What the user should know: a guess that had to be made, or what the files say and is not used.
    fn notice(&self) -> Option<String> {
        None
    }
}

/// Opens a model. Of half-precision and other weights in one folder, `prefer_half` chooses, and `variant` before it, where it is
/// given; `prediction` is what the U-Net predicts, where that is known better than from the files.
///
/// # Errors
///
/// When there is no such model, or it is of another kind.
pub fn open_model<'a>(
    source: &'a ModelSource,
    prefer_half: bool,
    variant: Option<&str>,
    prediction: Option<PredictionType>,
) -> Result<Box<dyn ModelFiles + 'a>, LoadError> {
    if let (ModelSource::File(path), Some(variant)) = (source, variant) {
        return Err(LoadError::NoVariant { model: path.display().to_string(), variant: variant.to_owned() });
    }
    Ok(match source {
        ModelSource::Folder(path) => Box::new(Folder::open(Files::Disk(path), prefer_half, variant)?),
        ModelSource::Embedded(model) => Box::new(Folder::open(Files::Embedded(model), prefer_half, variant)?),
        ModelSource::File(path) => Box::new(SingleFileModel::open(path, prediction)?),
    })
}

/// An autoencoder beside the model: a file, a folder with a `config.json`, or a whole model's folder.
pub(crate) fn open_vae(path: &Path, prefer_half: bool) -> Result<Component<VaeConfig>, LoadError> {
    if path.is_dir() {
        let inner = path.join("vae");
        return Ok(Component::from_folder(if inner.is_dir() { &inner } else { path }, prefer_half)?);
    }
    let weights = SingleFile::vae_of(&Checkpoint::open(path)?)?;
    Ok(Component { config: VaeConfig::from_weights(&weights)?, weights })
}
