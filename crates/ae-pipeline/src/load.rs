use ae_clip::{ClipTextModel, ClipTextModelConfig, ClipTokenizer, TokenizedPrompt, TokenizerSettings};
use ae_scheduler::{SchedulerConfig, SchedulerKind};
use ae_tensor::{FloatType, NoiseKind};
use ae_unet::{UNet2DConditionModel, UNetConfig};
use ae_vae::{AutoencoderKL, VaeConfig};
use burn::tensor::{Device, Tensor};
use image::RgbImage;

use crate::output::to_images;
use crate::{LoadError, Method, ModelDefaults, ModelSource, PipelineError, Request, SubjectChoice};

/// A Stable Diffusion model, ready to draw.
#[derive(Debug)]
pub struct Pipeline {
    pub(crate) tokenizer: ClipTokenizer,
    pub(crate) text_encoder: ClipTextModel,
    pub(crate) unet: UNet2DConditionModel,
    pub(crate) unet_config: UNetConfig,
    pub(crate) vae: AutoencoderKL,
    pub(crate) vae_config: VaeConfig,
    pub(crate) scheduler: SchedulerConfig,
    pub(crate) device: Device,
    defaults: ModelDefaults,
    name: String,
}

impl Pipeline {
    /// Loads a model in diffusers' folder layout onto `device`.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, a config describes another kind of model, or the parts do not
    /// fit together. The error names the file.
    pub fn load(source: &ModelSource, dtype: FloatType, device: &Device) -> Result<Self, LoadError> {
        let unet_config = read_config(source, "unet/config.json", UNetConfig::from_json)?;
        let vae_config = read_config(source, "vae/config.json", VaeConfig::from_json)?;
        let text_config = read_config(source, "text_encoder/config.json", ClipTextModelConfig::from_json)?;
        let scheduler =
            read_config(source, "scheduler/scheduler_config.json", SchedulerConfig::from_json)?.for_latent_diffusion();
        let defaults = match source.optional_text("attend_and_excite.json")? {
            Some(text) => config_error(source, "attend_and_excite.json", ModelDefaults::from_json(&text))?,
            None => ModelDefaults::default(),
        };
        let fits = [
            (
                "the U-Net's cross_attention_dim",
                unet_config.cross_attention_dim,
                "the text encoder's hidden_size",
                text_config.hidden_size,
            ),
            (
                "the U-Net's in_channels",
                unet_config.in_channels,
                "the VAE's latent_channels",
                vae_config.latent_channels,
            ),
            (
                "the U-Net's out_channels",
                unet_config.out_channels,
                "the VAE's latent_channels",
                vae_config.latent_channels,
            ),
        ];
        for (one, a, other, b) in fits {
            if a != b {
                let reason = format!("{one} is {a}, {other} is {b}");
                return Err(LoadError::Inconsistent { model: source.name(), reason });
            }
        }
        let tokenizer = load_tokenizer(source)?;
        let weights = |path| source.weights(path);
        let text_encoder =
            ClipTextModel::load(&text_config, &weights("text_encoder/model.safetensors")?, dtype, device)?;
        let unet_weights = weights("unet/diffusion_pytorch_model.safetensors")?;
        let unet = UNet2DConditionModel::load(&unet_config, &unet_weights, dtype, device)?;
        let vae =
            AutoencoderKL::load(&vae_config, &weights("vae/diffusion_pytorch_model.safetensors")?, dtype, device)?;
        let name = defaults.name.clone().unwrap_or_else(|| source.name());
        Ok(Self {
            tokenizer,
            text_encoder,
            unet,
            unet_config,
            vae,
            vae_config,
            scheduler,
            device: device.clone(),
            defaults,
            name,
        })
    }

    /// Name and version of the model, or its folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The settings that suit the model.
    pub fn defaults(&self) -> &ModelDefaults {
        &self.defaults
    }

    /// Height and width of a picture in pixels where a request names none.
    pub fn default_size(&self) -> [usize; 2] {
        [self.unet_config.sample_size * self.vae_config.scale(); 2]
    }

    /// The model's own sampler.
    ///
    /// # Errors
    ///
    /// When the folder names one that does not exist here; another can still be chosen.
    pub fn default_scheduler(&self) -> Result<SchedulerKind, PipelineError> {
        Ok(self.scheduler.kind()?)
    }

    /// A request for one picture of `prompt`, seed 42, with Attend-and-Excite at the model's defaults.
    pub fn request(&self, prompt: impl Into<String>) -> Request {
        Request {
            prompt: prompt.into(),
            negative_prompt: String::new(),
            seeds: vec![42],
            noise: NoiseKind::default(),
            height: None,
            width: None,
            num_inference_steps: self.defaults.num_inference_steps,
            guidance_scale: self.defaults.guidance_scale,
            scheduler: None,
            method: Method::AttendAndExcite {
                subjects: SubjectChoice::Auto,
                settings: self.defaults.guidance(),
                attention_resolution: None,
                eot_normalization: false,
            },
        }
    }

    /// The tokens of a prompt.
    ///
    /// # Errors
    ///
    /// When the tokenizer cannot take it.
    pub fn tokenize(&self, prompt: &str) -> Result<TokenizedPrompt, PipelineError> {
        Ok(self.tokenizer.tokenize(prompt)?)
    }

    /// The text embeddings of prompts.
    ///
    /// # Shapes
    /// - output: `[prompts, tokens, width]`
    ///
    /// # Errors
    ///
    /// When the tokenizer has ids that the text encoder lacks.
    pub fn encode(&self, prompts: &[&TokenizedPrompt]) -> Result<Tensor<3>, PipelineError> {
        let ids: Vec<Vec<u32>> = prompts.iter().map(|prompt| prompt.ids()).collect();
        Ok(self.text_encoder.encode(&ids)?)
    }

    /// The pictures of latents.
    ///
    /// # Shapes
    /// - latents: `[pictures, channels, rows, cols]`
    ///
    /// # Errors
    ///
    /// When they hold NaN or infinity.
    pub fn decode(&self, latents: Tensor<4>) -> Result<Vec<RgbImage>, PipelineError> {
        to_images(self.vae.decode(latents))
    }
}

/// Loads a model's tokenizer alone.
///
/// # Errors
///
/// When its files are missing or damaged.
pub fn load_tokenizer(source: &ModelSource) -> Result<ClipTokenizer, LoadError> {
    const JSON: &str = "tokenizer/tokenizer.json";
    let tokenizer_config = source.optional_text("tokenizer/tokenizer_config.json")?;
    let special_tokens_map = source.optional_text("tokenizer/special_tokens_map.json")?;
    let settings = TokenizerSettings {
        tokenizer_config: tokenizer_config.as_deref(),
        special_tokens_map: special_tokens_map.as_deref(),
    };
    // The order of transformers 5: tokenizer.json, else vocabulary and merges.
    if let Some(json) = source.optional_text(JSON)? {
        return config_error(source, JSON, ClipTokenizer::from_tokenizer_json(&json, settings));
    }
    let vocab = source.text("tokenizer/vocab.json")?;
    let merges = source.text("tokenizer/merges.txt")?;
    config_error(source, "tokenizer", ClipTokenizer::from_vocab_and_merges(&vocab, &merges, settings))
}

fn read_config<T, E>(source: &ModelSource, path: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<T, LoadError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    config_error(source, path, parse(&source.text(path)?))
}

/// Names the file in the error of its parser.
fn config_error<T, E>(source: &ModelSource, path: &str, result: Result<T, E>) -> Result<T, LoadError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    result.map_err(|error| LoadError::Config { file: source.describe(path), source: Box::new(error) })
}
