use std::path::PathBuf;
use std::sync::Arc;

use ae_checkpoint::Family;
use ae_clip::{ClipTextModel, ClipTokenizer, TokenizedPrompt, WeightedPrompt, apply_weights, apply_weights_to_groups};
use ae_scheduler::{Scheduler, SchedulerConfig};
use ae_settings::{FloatType, Overrides, Preset, PromptSyntax, SchedulerKind, Settings, Vocabulary};
use ae_tensor::BurnFloat;
use ae_unet::{UNet2DConditionModel, UNetConfig};
use ae_vae::{AutoencoderKL, VaeConfig, VaeTiling};
use burn::tensor::{Device, Tensor};
use image::RgbImage;

use crate::additions::Loras;
use crate::conditioning::Encodable;
use crate::load::Base;
use crate::output::to_image;
use crate::residency::Residency;
use crate::{KnownPreset, ModelDefaults, PipelineError};

/// A Stable Diffusion model, ready to draw.
#[derive(Debug)]
pub struct Pipeline {
    /// Stable Diffusion 1 and 2 have one.
    pub(crate) text_encoders: Vec<TextEncoder>,
    pub(crate) unet: Residency<UNet2DConditionModel>,
    pub(crate) unet_config: UNetConfig,
    pub(crate) vae: Residency<AutoencoderKL>,
    pub(crate) vae_config: VaeConfig,
    pub(crate) weight_files: Vec<PathBuf>,
    pub(crate) vae_files: Vec<PathBuf>,
    pub(crate) scheduler: SchedulerConfig,
    pub(crate) device: Device,
    pub(crate) dtype: FloatType,
    pub(crate) family: Family,
    pub(crate) notice: Option<String>,
    pub(crate) notes: Vec<String>,
    /// What it was loaded from, to change what is added.
    pub(crate) base: Arc<Base>,
    pub(crate) loras: Arc<Loras>,
    pub(crate) defaults: ModelDefaults,
    pub(crate) vocabulary: Option<Vocabulary>,
    /// What it needs.
    pub(crate) preset: Option<KnownPreset>,
    /// What a name suggests, and that name.
    pub(crate) suggested_preset: Option<(Preset, String)>,
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

    /// The files of the U-Net and the text encoders, some of which may be the same; none for a model in memory.
    pub fn weight_files(&self) -> &[PathBuf] {
        &self.weight_files
    }

    /// The files of the autoencoder.
    pub fn vae_files(&self) -> &[PathBuf] {
        &self.vae_files
    }

    /// What the user should know about the model: a guess that had to be made while it was loaded.
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// What is to be said of the LoRAs and textual inversions that were added: the tokens that one has by them, and what in their
    /// files has no effect.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The settings that suit the model.
    pub fn defaults(&self) -> &ModelDefaults {
        &self.defaults
    }

    /// The words that it knows, of a model of few things.
    pub fn vocabulary(&self) -> Option<&Vocabulary> {
        self.vocabulary.as_ref()
    }

    /// The preset that the model or a LoRA on it is known to need; it is drawn with where a request names none.
    pub fn preset(&self) -> Option<&KnownPreset> {
        self.preset.as_ref()
    }

    /// The settings under those that are `given`: what suits the model, over it what the method that is given has of its own and what suits
    /// the model with it, and then the preset that is given or that the model needs.
    pub fn settings_under(&self, given: &Overrides) -> Overrides {
        let preset = given.preset.or_else(|| self.preset.as_ref().map(|known| known.preset));
        let takes_scale = self.unet_config.time_cond_proj_dim.is_some();
        let method = given.method.unwrap_or(Settings::default().method);
        let mut settings = self.defaults.settings.clone().over(&method.defaults());
        if let Some(own) = self.defaults.methods.get(method.name()) {
            settings = settings.over(own);
        }
        if let Some(preset) = preset {
            settings = settings.over(&preset.settings_under(given, takes_scale));
        }
        // Of a model that needs none there is none to leave out.
        settings.preset = preset.filter(|preset| *preset != Preset::Off || self.preset.is_some());
        settings
    }

    /// Height and width of a picture in pixels where a request names none.
    pub fn default_size(&self) -> [usize; 2] {
        self.unet_config.sample_size.map(|side| side * self.vae_config.scale())
    }

    /// Whether the model is one for inpainting: its U-Net sees a mask and the image outside it beside the latents. It draws with a
    /// mask and without.
    pub fn is_inpainting(&self) -> bool {
        self.unet_config.is_inpainting()
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

    /// The sampler of a run.
    pub(crate) fn build_scheduler(
        &self,
        kind: SchedulerKind,
        settings: &Settings,
        first_step: usize,
    ) -> Result<Box<dyn Scheduler>, PipelineError> {
        let mut config = self.scheduler.clone();
        if let Some(spacing) = settings.timestep_spacing {
            config = config.with_timestep_spacing(spacing);
        }
        if let Some(sigmas) = settings.sigmas {
            config = config.with_sigmas(sigmas);
        }
        Ok(config.with_eta(settings.eta).build_from(kind, settings.steps, first_step)?)
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

    /// The tokens of a prompt, with the weights it gives them if `weighting` reads brackets as weights.
    ///
    /// # Errors
    ///
    /// When the tokenizer cannot take it.
    pub fn tokenize_with(&self, prompt: &str, weighting: bool) -> Result<WeightedPrompt, PipelineError> {
        Ok(self.text_encoder().tokenizer.tokenize_with(prompt, weighting)?)
    }

    /// The text embeddings of chunks of a request's texts; `groups` says which of them have their mean together, see
    /// [`apply_weights_to_groups`].
    ///
    /// # Shapes
    /// - output: `[texts, tokens, width]`
    pub(crate) fn encode_texts(
        &self,
        texts: &[Encodable],
        groups: Option<&[(usize, usize)]>,
        settings: &Settings,
    ) -> Result<Tensor<3>, PipelineError> {
        /// Chunks that are encoded at once.
        const MOST: usize = 64;
        let ids: Vec<&[u32]> = texts.iter().map(|text| text.ids.as_slice()).collect();
        let model = self.text_encoder().model.get()?;
        let encode = |ids: &[&[u32]]| model.encode_with_clip_skip(ids, settings.clip_skip);
        let embeddings = Tensor::cat(ids.chunks(MOST).map(encode).collect::<Result<_, _>>()?, 0);
        if settings.prompt_syntax == PromptSyntax::Plain {
            return Ok(embeddings);
        }
        let weights: Vec<&[f32]> = texts.iter().map(|text| text.weights.as_slice()).collect();
        Ok(match groups {
            Some(groups) => apply_weights_to_groups(embeddings, &weights, groups)?,
            None => apply_weights(embeddings, &weights)?,
        })
    }

    /// The images of latents, decoded one at a time.
    ///
    /// # Shapes
    /// - latents: `[images, channels, rows, cols]`
    ///
    /// # Errors
    ///
    /// When they hold NaN or infinity, or the device fails.
    pub fn decode(&self, latents: Tensor<4>) -> Result<Vec<RgbImage>, PipelineError> {
        self.decode_tiled(latents, false)
    }

    /// The type that the networks compute in; on the CPU single precision, in whatever type the weights are kept.
    pub fn computed_dtype(&self) -> FloatType {
        self.dtype.computed_on(&self.device)
    }

    /// The images of latents, decoded one at a time and, if `tiled`, in tiles, as diffusers' `enable_vae_tiling` does: less
    /// memory for large images, with slight differences.
    ///
    /// # Shapes
    /// - latents: `[images, channels, rows, cols]`
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn decode_tiled(&self, latents: Tensor<4>, tiled: bool) -> Result<Vec<RgbImage>, PipelineError> {
        let vae = self.vae.get()?;
        let decode =
            |latents| if tiled { vae.decode_tiled(latents, VaeTiling::default()) } else { vae.decode(latents) };
        latents.split(1, 0).into_iter().map(|latents| to_image(decode(latents), self.computed_dtype())).collect()
    }
}
