use ae_checkpoint::Family;
use ae_clip::{ClipTextModel, ClipTokenizer, TokenizedPrompt, WeightedPrompt, apply_weights};
use ae_scheduler::{SchedulerConfig, SchedulerKind};
use ae_tensor::NoiseKind;
use ae_unet::{UNet2DConditionModel, UNetConfig};
use ae_vae::{AutoencoderKL, VaeConfig, VaeTiling};
use burn::tensor::{Device, Tensor};
use image::RgbImage;

use crate::conditioning::Encodable;
use crate::output::to_image;
use crate::residency::Residency;
use crate::run::Plan;
use crate::{EotNormalization, Method, ModelDefaults, PipelineError, Request, SubjectChoice};

/// A Stable Diffusion model, ready to draw.
#[derive(Debug)]
pub struct Pipeline {
    /// Stable Diffusion 1 and 2 have one.
    pub(crate) text_encoders: Vec<TextEncoder>,
    pub(crate) unet: Residency<UNet2DConditionModel>,
    pub(crate) unet_config: UNetConfig,
    pub(crate) vae: Residency<AutoencoderKL>,
    pub(crate) vae_config: VaeConfig,
    pub(crate) scheduler: SchedulerConfig,
    pub(crate) device: Device,
    pub(crate) family: Family,
    pub(crate) notice: Option<String>,
    pub(crate) defaults: ModelDefaults,
    pub(crate) name: String,
}

/// A text encoder with its tokenizer.
#[derive(Debug)]
pub(crate) struct TextEncoder {
    pub(crate) tokenizer: ClipTokenizer,
    pub(crate) model: Residency<ClipTextModel>,
}

impl Pipeline {
    /// The text encoder whose tokens guidance counts: the first.
    pub(crate) fn text_encoder(&self) -> &TextEncoder {
        &self.text_encoders[0]
    }

    /// Name and version of the model, or its path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The generation of Stable Diffusion, which the model's files tell.
    pub fn family(&self) -> Family {
        self.family
    }

    /// What the user should know about the model: a guess that had to be made while it was loaded.
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// The settings that suit the model.
    pub fn defaults(&self) -> &ModelDefaults {
        &self.defaults
    }

    /// Height and width of a picture in pixels where a request names none.
    pub fn default_size(&self) -> [usize; 2] {
        [self.unet_config.sample_size * self.vae_config.scale(); 2]
    }

    /// What the sides of a picture are multiples of, in pixels.
    pub fn size_multiple(&self) -> usize {
        self.vae_config.scale()
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
            prompt_weighting: false,
            clip_skip: 0,
            init_image: None,
            vae_tiling: None,
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
                eot_normalization: EotNormalization::Auto,
            },
            attention_maps: false,
        }
    }

    /// Checks a request without drawing it.
    ///
    /// # Errors
    ///
    /// Those of [`generate`](Self::generate) that can be known before anything is computed: an option outside its range, a subject
    /// that is not in the prompt.
    pub fn check(&self, request: &Request) -> Result<(), PipelineError> {
        Plan::new(self, request).map(drop)
    }

    /// The tokens of a prompt.
    ///
    /// # Errors
    ///
    /// When the tokenizer cannot take it.
    pub fn tokenize(&self, prompt: &str) -> Result<TokenizedPrompt, PipelineError> {
        Ok(self.text_encoder().tokenizer.tokenize(prompt)?)
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
        Ok(self.text_encoder().model.get()?.encode(&ids)?)
    }

    /// The tokens of a prompt of a request, with the weights it gives them.
    ///
    /// # Errors
    ///
    /// When the tokenizer cannot take it.
    pub fn tokenize_for(&self, request: &Request, prompt: &str) -> Result<WeightedPrompt, PipelineError> {
        if request.prompt_weighting {
            return Ok(self.text_encoder().tokenizer.tokenize_weighted(prompt)?);
        }
        let prompt = self.tokenize(prompt)?;
        let weights = vec![1.0; prompt.tokens().len()];
        Ok(WeightedPrompt { prompt, weights })
    }

    /// The text embeddings of the texts of a request.
    ///
    /// # Shapes
    /// - output: `[texts, tokens, width]`
    pub(crate) fn encode_for(&self, request: &Request, texts: &[Encodable]) -> Result<Tensor<3>, PipelineError> {
        let ids: Vec<&[u32]> = texts.iter().map(|text| text.ids.as_slice()).collect();
        let embeddings = self.text_encoder().model.get()?.encode_with_clip_skip(&ids, request.clip_skip)?;
        if !request.prompt_weighting {
            return Ok(embeddings);
        }
        let weights: Vec<&[f32]> = texts.iter().map(|text| text.weights.as_slice()).collect();
        Ok(apply_weights(embeddings, &weights)?)
    }

    /// The pictures of latents, decoded one at a time.
    ///
    /// # Shapes
    /// - latents: `[pictures, channels, rows, cols]`
    ///
    /// # Errors
    ///
    /// When they hold NaN or infinity, or the device fails.
    pub fn decode(&self, latents: Tensor<4>) -> Result<Vec<RgbImage>, PipelineError> {
        self.decode_with(latents, None)
    }

    /// The pictures of latents, decoded one at a time, in tiles if there are any.
    ///
    /// # Shapes
    /// - latents: `[pictures, channels, rows, cols]`
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn decode_with(&self, latents: Tensor<4>, tiling: Option<VaeTiling>) -> Result<Vec<RgbImage>, PipelineError> {
        let vae = self.vae.get()?;
        let decode = |latents| match tiling {
            Some(tiling) => vae.decode_tiled(latents, tiling),
            None => vae.decode(latents),
        };
        latents.split(1, 0).into_iter().map(|latents| to_image(decode(latents))).collect()
    }
}
