use std::sync::Arc;

use ae_checkpoint::Family;
use ae_clip::{Subject, TokenizedPrompt, find_subjects, subjects_at};
use ae_guidance::GuidanceSettings;
use ae_scheduler::SchedulerKind;
use ae_tensor::NoiseKind;
use ae_vae::VaeTiling;

use crate::automatic_subjects::automatic_subjects;
use crate::{InitImage, InitialLatents, ObjectiveFactory, ObjectiveInputs, PhraseChoice, PipelineError};

/// What to draw, and how.
///
/// [`Pipeline::request`](crate::Pipeline::request) fills it with the model's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What the picture shall show.
    pub prompt: String,
    /// What it shall not show.
    pub negative_prompt: String,
    /// Read `(word:1.3)`, `(word)` and `[word]` in the prompts as weights, as AUTOMATIC1111's program does.
    /// Otherwise brackets are text, as in diffusers.
    pub prompt_weighting: bool,
    /// The number of layers left out at the end of the text encoder; 1 is the "clip skip 2" of other programs.
    pub clip_skip: usize,
    /// A picture to start from.
    pub init_image: Option<InitImage>,
    /// Initial latents to start from instead of the noise of the seeds.
    pub latents: Option<InitialLatents>,
    /// Decode in tiles, as diffusers' `enable_vae_tiling`: less memory for large pictures, with slight differences.
    pub vae_tiling: Option<VaeTiling>,
    /// One picture per seed, drawn together.
    pub seeds: Vec<u64>,
    /// The generator that the seeds start.
    pub noise: NoiseKind,
    /// Height in pixels; by default the initial picture's or latents', or the model's own.
    pub height: Option<usize>,
    /// Width in pixels; by default the initial picture's or latents', or the model's own.
    pub width: Option<usize>,
    /// Number of denoising steps.
    pub num_inference_steps: usize,
    /// Scale of classifier-free guidance; up to 1 there is none.
    pub guidance_scale: f64,
    /// The sampler; by default the model's own.
    pub scheduler: Option<SchedulerKind>,
    /// The method.
    pub method: Method,
    /// Show the observer the attention maps of every step ([`Event::Denoised`](crate::Event::Denoised)).
    pub attention_maps: bool,
}

/// How the latents are led.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// Plain sampling.
    StableDiffusion,
    /// Attend-and-Excite.
    AttendAndExcite {
        /// What must appear.
        subjects: SubjectChoice,
        /// The parameters of the method.
        settings: GuidanceSettings,
        /// Rows and columns of the attention maps; by default latents over the model's reduction.
        attention_resolution: Option<[usize; 2]>,
        /// Leave the end token and the padding out of the softmax.
        eot_normalization: EotNormalization,
    },
    /// Guidance by an objective of the caller's own.
    Guided {
        /// What the objective is told about the prompt.
        inputs: ObjectiveInputs,
        /// Makes the objective.
        objective: Arc<dyn ObjectiveFactory>,
    },
    /// StructureDiffusion (Feng et al. 2022): the noun phrases are also encoded by themselves, and patches find in the text
    /// what it and its phrases say on average.
    StructureDiffusion {
        /// The phrases.
        phrases: PhraseChoice,
    },
    /// Composable Diffusion (Liu et al. 2022): the noise is predicted for every part of the prompt by itself, and the
    /// differences that they make are added up. [`prompt_parts`](crate::prompt_parts) says what the parts are.
    ComposableDiffusion,
}

/// Whether the end token and the padding are left out of the softmax over the tokens (`normalize_eot` in the
/// official repository).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EotNormalization {
    /// For Stable Diffusion 2 only, as in the official repository.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never, as in diffusers.
    Off,
}

impl EotNormalization {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        }
    }

    pub(crate) fn is_on(self, family: Family) -> bool {
        match self {
            Self::Auto => family == Family::StableDiffusion2,
            Self::On => true,
            Self::Off => false,
        }
    }
}

impl Method {
    /// Its name on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::StableDiffusion => "stable-diffusion",
            Self::AttendAndExcite { .. } => "attend-and-excite",
            Self::Guided { objective, .. } => objective.name(),
            Self::StructureDiffusion { .. } => "structure-diffusion",
            Self::ComposableDiffusion => "composable-diffusion",
        }
    }
}

/// Which tokens of the prompt are subjects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SubjectChoice {
    /// The things of the prompt: the heads of its noun phrases, but not what says how the picture is made (`a photo of`),
    /// and the placeholders of textual inversions. The rules are those of [`ae_phrases`].
    #[default]
    Auto,
    /// Words or phrases of the prompt.
    Words(Vec<String>),
    /// Token positions, with `<sot>` at 0; each is a subject of its own, as in the references.
    Indices(Vec<usize>),
}

impl SubjectChoice {
    /// The subjects that the choice means in a prompt.
    ///
    /// # Errors
    ///
    /// When a subject is not in the prompt, an index is on no word, or there is no noun to choose.
    pub fn resolve(&self, prompt: &TokenizedPrompt) -> Result<Vec<Subject>, PipelineError> {
        let subjects = match self {
            Self::Auto => automatic_subjects(prompt),
            Self::Words(words) => find_subjects(prompt, words)?,
            Self::Indices(indices) => subjects_at(prompt, indices)?,
        };
        if subjects.is_empty() {
            return Err(PipelineError::NoSubject { prompt: prompt.text().chars().take(60).collect() });
        }
        Ok(subjects)
    }
}

impl Request {
    /// Checks what does not depend on the model.
    pub(crate) fn check(&self) -> Result<(), PipelineError> {
        let option = |option, value: String, expected: &str| {
            Err(PipelineError::Option { option, value, expected: expected.to_owned() })
        };
        if self.seeds.is_empty() {
            return option("seeds", "empty".to_owned(), "at least one seed");
        }
        if !self.guidance_scale.is_finite() {
            return option("guidance-scale", self.guidance_scale.to_string(), "a finite number");
        }
        if self.init_image.is_some() && self.latents.is_some() {
            return option("latents", "given with an initial picture".to_owned(), "one of the two");
        }
        if let Some(InitImage { strength, .. }) = self.init_image {
            let is_share = strength > 0.0 && strength <= 1.0;
            if !is_share {
                return option("strength", strength.to_string(), "a number above 0, up to 1");
            }
        }
        Ok(())
    }
}
