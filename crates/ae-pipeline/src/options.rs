use std::path::PathBuf;

use ae_scheduler::PredictionType;
use ae_tensor::FloatType;

/// How a model is loaded, and what is added to it. Made of a [`FloatType`], or as the default, and then changed.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct LoadOptions {
    /// The type of weights and activations.
    pub dtype: FloatType,
    /// Another autoencoder: a file, or a folder with a `config.json`.
    pub vae: Option<PathBuf>,
    /// LoRAs, added in this order.
    pub loras: Vec<LoraChoice>,
    /// Textual inversions.
    pub embeddings: Vec<EmbeddingChoice>,
    /// Keep a network on the device only while it works: text encoder, U-Net and VAE take turns, and are loaded anew
    /// for every picture.
    pub low_memory: bool,
    /// What the U-Net predicts, where the model does not say it or says it wrongly.
    pub prediction_type: Option<PredictionType>,
}

/// A LoRA file and its strength.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LoraChoice {
    /// The file.
    pub path: PathBuf,
    /// The factor of its updates; 1 is what it was trained for.
    pub strength: f64,
}

/// A textual inversion file and the token that stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbeddingChoice {
    /// The file.
    pub path: PathBuf,
    /// The token; by default the one that the file names, or the name of the file.
    pub token: Option<String>,
}

impl LoraChoice {
    /// A file, and the factor of its updates.
    pub fn new(path: impl Into<PathBuf>, strength: f64) -> Self {
        Self { path: path.into(), strength }
    }
}

impl EmbeddingChoice {
    /// A file, and another token than its own.
    pub fn new(path: impl Into<PathBuf>, token: Option<String>) -> Self {
        Self { path: path.into(), token }
    }

    /// The file as errors name it.
    pub(crate) fn file(&self) -> String {
        self.path.display().to_string()
    }
}

impl From<FloatType> for LoadOptions {
    /// Nothing but the type.
    fn from(dtype: FloatType) -> Self {
        Self { dtype, ..Self::default() }
    }
}
