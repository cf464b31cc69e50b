use std::path::PathBuf;
use std::sync::Arc;

use ae_checkpoint::{Checkpoint, LoraNetwork};
use ae_clip::{ClipTextModel, ClipTextModelConfig, ClipTokenizer};
use ae_scheduler::SchedulerConfig;
use ae_settings::EmbeddingRef;
use ae_tensor::{BurnFloat, CheckpointError, Component, FloatType};
use ae_unet::{UNet2DConditionModel, UNetConfig};
use ae_vae::{AutoencoderKL, VaeConfig};
use burn::tensor::Device;

use crate::additions::{EmbeddedTokens, Loras};
use crate::model_files::{ModelFiles, open_model, open_vae};
use crate::pipeline::TextEncoder;
use crate::residency::Residency;
use crate::{LoadError, LoadOptions, ModelSource, Pipeline};

impl Pipeline {
    /// Loads a model onto `device`: a folder in diffusers' layout, a single file in the original layout, or
    /// one compiled in. `options` may be a [`FloatType`] alone.
    ///
    /// # Errors
    ///
    /// When a file is missing, damaged or of another kind, a config describes another kind of model, the parts
    /// do not fit together, or the device does not compute in the type asked for. The error names the file.
    pub fn load(source: &ModelSource, options: impl Into<LoadOptions>, device: &Device) -> Result<Self, LoadError> {
        let LoadOptions { dtype, vae, loras, embeddings, low_memory, variant, prediction_type } = options.into();
        if !dtype.is_supported_by(device) {
            return Err(LoadError::Dtype { dtype });
        }
        let prefer_half = dtype != FloatType::F32;
        let files = open_model(source, prefer_half, variant.as_deref(), prediction_type)?;
        let (unet, text_encoders) = (files.unet()?, files.text_encoders()?);
        let vae = vae.map_or_else(|| files.vae(), |path: PathBuf| open_vae(&path, prefer_half))?;
        check_fit(source, &unet.config, &text_encoders, &vae.config)?;
        let (scheduler, defaults) = (files.scheduler()?.for_latent_diffusion(), files.defaults()?);

        let mut weight_files = unet.weights.files().to_vec();
        weight_files.extend(text_encoders.iter().flat_map(|encoder| encoder.weights.files().to_vec()));
        let vae_files = vae.weights.files().to_vec();
        let (loras, to) = (Arc::new(Loras::open(&loras)?), Target { dtype, low_memory, device });
        let (unet_config, vae_config) = (unet.config.clone(), vae.config.clone());
        let encoders = files.tokenizers()?.into_iter().zip(text_encoders).map(|(mut tokenizer, encoder)| {
            let (tokens, loras) = (EmbeddedTokens::add(&embeddings, &mut tokenizer)?, Arc::clone(&loras));
            let model = to.load(encoder, ClipTextModel::load, move |model| {
                loras.add_to(LoraNetwork::TextEncoder, model)?;
                tokens.iter().try_for_each(|tokens| tokens.add_to(model))
            });
            Ok(TextEncoder { tokenizer, model: model? })
        });
        Ok(Self {
            text_encoders: encoders.collect::<Result<_, LoadError>>()?,
            unet: to.load(unet, UNet2DConditionModel::load, move |unet| loras.add_to(LoraNetwork::UNet, unet))?,
            unet_config,
            vae: to.load(vae, AutoencoderKL::load, |_| Ok(()))?,
            vae_config,
            weight_files,
            vae_files,
            scheduler: prediction_type.into_iter().fold(scheduler, SchedulerConfig::with_prediction_type),
            device: device.clone(),
            dtype,
            family: files.family()?,
            notice: files.notice().map(str::to_owned),
            name: defaults.name.clone().unwrap_or_else(|| source.name()),
            defaults,
        })
    }
}

/// How networks are loaded, and where they go.
struct Target<'a> {
    dtype: FloatType,
    low_memory: bool,
    device: &'a Device,
}

impl Target<'_> {
    /// Loads a network, now or at each use, and then finishes it.
    fn load<C: Send + Sync + 'static, T: 'static>(
        &self,
        Component { config, weights }: Component<C>,
        load: fn(&C, &Checkpoint, FloatType, &Device) -> Result<T, CheckpointError>,
        finish: impl Fn(&mut T) -> Result<(), LoadError> + Send + Sync + 'static,
    ) -> Result<Residency<T>, LoadError> {
        let (dtype, device) = (self.dtype, self.device.clone());
        Residency::new(self.low_memory, self.device, move || {
            let mut network = load(&config, &weights, dtype, &device)?;
            finish(&mut network)?;
            Ok(network)
        })
    }
}

/// Loads a model's tokenizer alone, with the tokens of textual inversions.
///
/// # Errors
///
/// When its files are missing or damaged.
pub fn load_tokenizer(source: &ModelSource, embeddings: &[EmbeddingRef]) -> Result<ClipTokenizer, LoadError> {
    let mut tokenizer = open_model(source, false, None, None)?.tokenizers()?.swap_remove(0);
    EmbeddedTokens::add(embeddings, &mut tokenizer)?;
    Ok(tokenizer)
}

/// Checks what can be told of a model without loading it: that its files are there and describe networks that belong together.
///
/// # Errors
///
/// As [`Pipeline::load`] before it reads weights.
pub fn check_model(source: &ModelSource, files: &dyn ModelFiles) -> Result<(), LoadError> {
    check_fit(source, &files.unet()?.config, &files.text_encoders()?, &files.vae()?.config)?;
    files.tokenizers()?;
    files.scheduler()?;
    files.defaults()?;
    Ok(())
}

/// Whether the networks belong together.
fn check_fit(
    source: &ModelSource,
    unet: &UNetConfig,
    text_encoders: &[Component<ClipTextModelConfig>],
    vae: &VaeConfig,
) -> Result<(), LoadError> {
    let latents = vae.latent_channels;
    let task = match unet.in_channels {
        5 => Some("depth-to-image"),
        7 => Some("upscaling"),
        8 => Some("editing by instruction (InstructPix2Pix)"),
        9 => Some("inpainting"),
        _ => None,
    };
    if let (Some(task), 4, 4) = (task, latents, unet.out_channels) {
        let model = source.name();
        return Err(LoadError::Task { model, task, in_channels: unet.in_channels });
    }
    let width = text_encoders.iter().map(|encoder| encoder.config.hidden_size).sum();
    let fits = [
        ("the U-Net's cross_attention_dim", unet.cross_attention_dim, "the text encoder's hidden_size", width),
        ("the U-Net's in_channels", unet.in_channels, "the VAE's latent_channels", latents),
        ("the U-Net's out_channels", unet.out_channels, "the VAE's latent_channels", latents),
    ];
    match fits.into_iter().find(|(_, a, _, b)| a != b) {
        Some((one, a, other, b)) => {
            Err(LoadError::Inconsistent { model: source.name(), reason: format!("{one} is {a}, {other} is {b}") })
        }
        None => Ok(()),
    }
}
