use std::path::PathBuf;

use ae_scheduler::PredictionType;
use ae_settings::{EmbeddingRef, LoraRef};
use ae_tensor::FloatType;

use crate::KnownPreset;

/// How a model is loaded, and what is added to it. Made of a [`FloatType`], or as the default, and then changed.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct LoadOptions {
    /// The type of weights and activations; on the CPU, which computes in single precision, that in which weights are kept. With
    /// [`FloatType::Q8`] text encoder and U-Net are quantised, the autoencoder is as with single precision.
    pub dtype: FloatType,
    /// Another autoencoder: a file, or a folder with a `config.json`.
    pub vae: Option<PathBuf>,
    /// LoRAs by their paths, added in this order.
    pub loras: Vec<LoraRef>,
    /// Textual inversions by their paths.
    pub embeddings: Vec<EmbeddingRef>,
    /// Keep a network on the device only while it works: text encoder, U-Net and VAE take turns, and are loaded anew
    /// for every picture. The backward pass of guidance then computes transformers again at every size, as it does by itself above
    /// 512x512 pixels ([`UNet2DConditionModel::recomputing`](ae_unet::UNet2DConditionModel::recomputing)). Changes no picture.
    pub low_memory: bool,
    /// The weights of a folder in diffusers' layout that carry this name before their ending, such as `non_ema`, for each part that
    /// has them; otherwise those of the type's precision, if there are any.
    pub variant: Option<String>,
    /// What the U-Net predicts, where the model does not say it or says it wrongly.
    pub prediction_type: Option<PredictionType>,
    /// The preset that the model or a LoRA is known to need by its name on the hub or its hash; what the configs of the model tell need
    /// not be said.
    pub preset: Option<KnownPreset>,
}

impl From<FloatType> for LoadOptions {
    /// Nothing but the type.
    fn from(dtype: FloatType) -> Self {
        Self { dtype, ..Self::default() }
    }
}
