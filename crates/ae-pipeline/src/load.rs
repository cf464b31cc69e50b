use std::sync::Arc;

use ae_checkpoint::{Embedding, Family, Lora, LoraNetwork, Network};
use ae_clip::{Activation, ClipTextModel, ClipTextModelConfig, ClipTokenizer};
use ae_scheduler::SchedulerConfig;
use ae_tensor::{BurnFloat, FloatType, apply_lora};
use ae_unet::{UNet2DConditionModel, UNetConfig};
use ae_vae::{AutoencoderKL, VaeConfig};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use crate::model_files::{ModelFiles, open_vae};
use crate::residency::Residency;
use crate::weight_files::ModelPart;
use crate::{EmbeddingChoice, LoadError, LoadOptions, LoraChoice, ModelDefaults, ModelSource, Pipeline};

/// The file of a model's own settings.
const DEFAULTS: &str = "attend_and_excite.json";

impl Pipeline {
    /// Loads a model onto `device`: a folder in diffusers' layout, a single file in the original layout, or
    /// one compiled in. `options` may be a [`FloatType`] alone.
    ///
    /// # Errors
    ///
    /// When a file is missing, damaged or of another kind, a config describes another kind of model, the parts
    /// do not fit together, or the device does not compute in the type asked for. The error names the file.
    pub fn load(source: &ModelSource, options: impl Into<LoadOptions>, device: &Device) -> Result<Self, LoadError> {
        let LoadOptions { dtype, vae, loras, embeddings, low_memory, prediction_type } = options.into();
        if !dtype.is_supported_by(device) {
            return Err(LoadError::Dtype { dtype });
        }
        let prefer_half = dtype != FloatType::F32;
        let files = ModelFiles::open(source, prediction_type)?;
        let unet_config = files.config(&ModelPart::UNet.config(), UNetConfig::from_json)?;
        let text_config = files.config(&ModelPart::TextEncoder.config(), ClipTextModelConfig::from_json)?;
        let mut scheduler =
            files.config("scheduler/scheduler_config.json", SchedulerConfig::from_json)?.for_latent_diffusion();
        if let Some(prediction_type) = prediction_type {
            scheduler = scheduler.with_prediction_type(prediction_type);
        }
        let defaults = match files.optional_text(DEFAULTS)? {
            Some(text) => files.config_error(DEFAULTS, ModelDefaults::from_json(&text))?,
            None => ModelDefaults::default(),
        };
        let (vae_config, vae_weights) = if let Some(path) = vae {
            let network = open_vae(&path, prefer_half)?;
            let file = path.display().to_string();
            let config = VaeConfig::from_json(&network.config)
                .map_err(|source| LoadError::Config { file, source: Box::new(source) })?;
            (config, network.weights)
        } else {
            let config = files.config(&ModelPart::Vae.config(), VaeConfig::from_json)?;
            (config, files.weights(ModelPart::Vae, prefer_half)?)
        };
        check_fit(source, &unet_config, &text_config, &vae_config)?;

        let loras = loras.iter().map(|LoraChoice { path, strength }| Ok((Lora::open(path)?, *strength)));
        let loras: Arc<[(Lora, f64)]> = loras.collect::<Result<_, LoadError>>()?;
        let mut tokenizer = files.tokenizer()?;
        let added = embeddings.into_iter().map(|choice| {
            let (first_id, vectors) = add_tokens(&choice, &mut tokenizer)?;
            Ok((choice, first_id, vectors))
        });
        let added = added.collect::<Result<Vec<_>, LoadError>>()?;

        let (config, weights) = (text_config.clone(), files.weights(ModelPart::TextEncoder, prefer_half)?);
        let (to, with) = (device.clone(), Arc::clone(&loras));
        let text_encoder = Residency::new(low_memory, device, move || {
            let mut text_encoder = ClipTextModel::load(&config, &weights, dtype, &to)?;
            add_loras(&with, LoraNetwork::TextEncoder, &mut text_encoder)?;
            for (choice, first_id, vectors) in &added {
                add_embedding(choice, &mut text_encoder, *first_id, vectors)?;
            }
            Ok(text_encoder)
        })?;
        let (config, weights) = (unet_config.clone(), files.weights(ModelPart::UNet, prefer_half)?);
        let to = device.clone();
        let unet = Residency::new(low_memory, device, move || {
            let mut unet = UNet2DConditionModel::load(&config, &weights, dtype, &to)?;
            add_loras(&loras, LoraNetwork::UNet, &mut unet)?;
            Ok(unet)
        })?;
        let (config, to) = (vae_config.clone(), device.clone());
        let vae =
            Residency::new(low_memory, device, move || Ok(AutoencoderKL::load(&config, &vae_weights, dtype, &to)?))?;
        let family = match text_config.hidden_act {
            Activation::QuickGelu => Family::StableDiffusion1,
            Activation::Gelu => Family::StableDiffusion2,
        };
        Ok(Self {
            tokenizer,
            text_encoder,
            unet,
            unet_config,
            vae,
            vae_config,
            scheduler,
            device: device.clone(),
            family,
            notice: files.notice(),
            name: defaults.name.clone().unwrap_or_else(|| source.name()),
            defaults,
        })
    }
}

/// Opens one network of a model, wherever it lies: its weights, not yet read, under diffusers' names, and its
/// config. Of half-precision and other weights in one folder, `prefer_half` chooses.
///
/// # Errors
///
/// When its files are missing or are not what they should be.
pub fn open_network(source: &ModelSource, part: ModelPart, prefer_half: bool) -> Result<Network, LoadError> {
    let files = ModelFiles::open(source, None)?;
    let config = files.text(&part.config())?.into_owned();
    Ok(Network { weights: files.weights(part, prefer_half)?, config })
}

/// Loads a model's tokenizer alone, with the tokens of textual inversions.
///
/// # Errors
///
/// When its files are missing or damaged.
pub fn load_tokenizer(source: &ModelSource, embeddings: &[EmbeddingChoice]) -> Result<ClipTokenizer, LoadError> {
    let mut tokenizer = ModelFiles::open(source, None)?.tokenizer()?;
    for embedding in embeddings {
        add_tokens(embedding, &mut tokenizer)?;
    }
    Ok(tokenizer)
}

/// Whether the networks belong together.
fn check_fit(
    source: &ModelSource,
    unet: &UNetConfig,
    text_encoder: &ClipTextModelConfig,
    vae: &VaeConfig,
) -> Result<(), LoadError> {
    let inconsistent = |reason| Err(LoadError::Inconsistent { model: source.name(), reason });
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
    let fits = [
        (
            "the U-Net's cross_attention_dim",
            unet.cross_attention_dim,
            "the text encoder's hidden_size",
            text_encoder.hidden_size,
        ),
        ("the U-Net's in_channels", unet.in_channels, "the VAE's latent_channels", latents),
        ("the U-Net's out_channels", unet.out_channels, "the VAE's latent_channels", latents),
    ];
    match fits.into_iter().find(|(_, a, _, b)| a != b) {
        Some((one, a, other, b)) => inconsistent(format!("{one} is {a}, {other} is {b}")),
        None => Ok(()),
    }
}

/// Merges the layers that LoRAs have for one of the networks.
fn add_loras<M: Module>(loras: &[(Lora, f64)], network: LoraNetwork, module: &mut M) -> Result<(), LoadError> {
    for (lora, strength) in loras {
        let layers = lora.layers.iter().filter(|layer| layer.network == network).cloned();
        let mismatch = |source| LoadError::Lora { file: lora.name.clone(), source };
        apply_lora(module, layers, *strength).map_err(mismatch)?;
    }
    Ok(())
}

/// Adds the tokens of a textual inversion; returns the id of the first and the vectors.
fn add_tokens(choice: &EmbeddingChoice, tokenizer: &mut ClipTokenizer) -> Result<(u32, Vec<Vec<f32>>), LoadError> {
    let Embedding { token, vectors } = Embedding::open(&choice.path)?;
    let token = choice.token.as_ref().unwrap_or(&token);
    let ids = tokenizer.add_embedding_tokens(token, vectors.len());
    let ids = ids.map_err(|source| LoadError::Embedding { file: choice.file(), source: Box::new(source) })?;
    Ok((ids.start, vectors))
}

fn add_embedding(
    choice: &EmbeddingChoice,
    text_encoder: &mut ClipTextModel,
    first_id: u32,
    vectors: &[Vec<f32>],
) -> Result<(), LoadError> {
    let shape = [vectors.len(), vectors[0].len()];
    let vectors = Tensor::from_data(TensorData::new(vectors.concat(), shape), &text_encoder.device());
    let added = text_encoder.add_token_embeddings(first_id, vectors);
    added.map_err(|source| LoadError::Embedding { file: choice.file(), source: Box::new(source) })
}
