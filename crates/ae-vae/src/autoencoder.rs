use std::path::Path;

use ae_tensor::nn::{Conv2d, channels_first, channels_last};
use ae_tensor::{Checkpoint, CheckpointError, Component, FloatType, KeyRules, checkpoint_of, load_weights};
use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};

use crate::VaeConfig;
use crate::half::Half;

/// Checkpoints older than diffusers 0.18 name the projections of the attention differently.
const RULES: KeyRules = KeyRules {
    prefix: "",
    renames: &[
        (".attentions.0.query.", ".attentions.0.to_q."),
        (".attentions.0.key.", ".attentions.0.to_k."),
        (".attentions.0.value.", ".attentions.0.to_v."),
        (".attentions.0.proj_attn.", ".attentions.0.to_out.0."),
    ],
    ignored: &[],
};

/// Stable Diffusion's autoencoder (diffusers' `models/autoencoders/autoencoder_kl.py`).
///
/// Images and latents are single precision whatever the type of the weights.
#[derive(Module, Debug)]
pub struct AutoencoderKL {
    encoder: Half,
    decoder: Half,
    quant_conv: Option<Conv2d>,
    post_quant_conv: Option<Conv2d>,
    scaling_factor: f64,
    /// Pixels of a latent's side.
    scale: usize,
}

/// The latents of an image as the encoder gives them: a normal distribution for every value.
#[derive(Clone, Debug)]
pub struct LatentDistribution {
    /// `[batch, latent_channels, rows, cols]`, in the scale of the sampler
    pub mean: Tensor<4>,
    /// `[batch, latent_channels, rows, cols]`, in the scale of the sampler
    pub standard_deviation: Tensor<4>,
}

impl LatentDistribution {
    /// Latents drawn with the given standard normal `noise` of the same shape.
    pub fn sample(self, noise: Tensor<4>) -> Tensor<4> {
        self.mean + self.standard_deviation * noise
    }
}

impl AutoencoderKL {
    /// Builds the model; its parameters are not allocated before they are loaded or used.
    pub fn new(config: &VaeConfig, device: &Device) -> Self {
        let latents = config.latent_channels;
        Self {
            encoder: Half::encoder(config, device),
            decoder: Half::decoder(config, device),
            quant_conv: config.use_quant_conv.then(|| Conv2d::new_1x1(2 * latents, 2 * latents, device)),
            post_quant_conv: config.use_post_quant_conv.then(|| Conv2d::new_1x1(latents, latents, device)),
            scaling_factor: config.scaling_factor,
            scale: config.scale(),
        }
    }

    /// Builds the model and fills it from a diffusers checkpoint
    /// (`vae/diffusion_pytorch_model.safetensors`).
    ///
    /// # Errors
    ///
    /// See [`load_weights`].
    pub fn load(
        config: &VaeConfig,
        checkpoint: &Checkpoint,
        dtype: FloatType,
        device: &Device,
    ) -> Result<Self, CheckpointError> {
        let mut model = Self::new(config, device);
        load_weights(&mut model, checkpoint, &RULES, dtype)?;
        Ok(model)
    }

    /// Its parameters under diffusers' names, as [`load`](Self::load) takes them.
    pub fn checkpoint(&self, dtype: FloatType) -> Checkpoint {
        checkpoint_of(self, "the autoencoder", RULES.prefix, dtype)
    }

    /// Loads a folder in diffusers' layout (`vae`): `config.json`, and the weights in any of their formats.
    ///
    /// # Errors
    ///
    /// When a file is missing, damaged or of another kind of model. The error names the file.
    pub fn from_folder(folder: impl AsRef<Path>, dtype: FloatType, device: &Device) -> Result<Self, CheckpointError> {
        let Component { config, weights } = Component::from_folder(folder, dtype != FloatType::F32)?;
        Self::load(&config, &weights, dtype, device)
    }

    /// Latents of an image.
    ///
    /// # Shapes
    /// - image: `[batch, 3, height, width]`, in -1 .. 1, sides a multiple of [`VaeConfig::scale`]
    pub fn encode(&self, image: Tensor<4>) -> LatentDistribution {
        /// The reference bounds the log-variance so that the exponential stays finite.
        const LOG_VARIANCE: (f64, f64) = (-30.0, 20.0);
        let mut moments = self.encoder.forward(channels_last(image.cast(self.dtype())));
        if let Some(conv) = &self.quant_conv {
            moments = conv.forward(moments);
        }
        let moments = channels_first(moments).cast(DType::F32);
        let channels = moments.dims()[1] / 2;
        let mean = moments.clone().narrow(1, 0, channels);
        let log_variance = moments.narrow(1, channels, channels);
        let standard_deviation = (log_variance.clamp(LOG_VARIANCE.0, LOG_VARIANCE.1) * 0.5).exp();
        LatentDistribution {
            mean: mean * self.scaling_factor,
            standard_deviation: standard_deviation * self.scaling_factor,
        }
    }

    /// The image of latents as the sampler leaves them.
    ///
    /// # Shapes
    /// - latents: `[batch, latent_channels, rows, cols]`
    /// - output: `[batch, 3, rows * scale, cols * scale]`, about -1 .. 1, not clamped
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        let mut latents = channels_last((latents / self.scaling_factor).cast(self.dtype()));
        if let Some(conv) = &self.post_quant_conv {
            latents = conv.forward(latents);
        }
        channels_first(self.decoder.forward(latents)).cast(DType::F32)
    }

    /// Pixels of a latent's side.
    pub(crate) fn scale(&self) -> usize {
        self.scale
    }

    fn dtype(&self) -> DType {
        self.encoder.dtype()
    }
}
