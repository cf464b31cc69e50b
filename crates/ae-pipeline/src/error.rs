use std::io;

use ae_checkpoint::{EmbeddingError, LoraError, OpenError, SingleFileError};
use ae_clip::{ApplyWeightsError, EncodeError, SubjectError, TokenizerError};
use ae_config::ConfigError;
use ae_guidance::GuidanceError;
use ae_scheduler::SchedulerError;
use ae_settings::SettingsError;
use ae_settings::a1111::{PartWeightError, ScheduleError};
use ae_tensor::{CheckpointError, ComputeError, FloatType, LoraMismatch};

use crate::LayerChoiceError;

/// A model that cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The list of the words that a model knows.
    #[error("'{file}' is no list of the words of a model: {cause}")]
    Vocabulary {
        /// The file.
        file: String,
        /// What is wrong with it.
        cause: String,
    },
    /// There is no such file or folder.
    #[error("the model '{path}' does not exist")]
    NotFound {
        /// The path.
        path: String,
    },
    /// A file of the layout is not there.
    #[error(
        "'{model}' is no whole model folder: {file} is missing (diffusers' layout has the folders scheduler, \
         text_encoder, tokenizer, unet and vae)"
    )]
    MissingFile {
        /// The model.
        model: String,
        /// The file, relative to the folder.
        file: String,
    },
    /// A single file without its autoencoder.
    #[error("'{model}' holds no autoencoder (VAE); give one beside it")]
    NoVae {
        /// The file.
        model: String,
    },
    /// No part of the model has weights of a variant.
    #[error(
        "'{model}' has no weights of the variant '{variant}': variants are the files of a folder in diffusers' layout that carry this \
         name before their ending, as unet/diffusion_pytorch_model.{variant}.safetensors"
    )]
    NoVariant {
        /// The model.
        model: String,
        /// The variant.
        variant: String,
    },
    /// A folder of another family of models.
    #[error("'{model}' is {found}; expected Stable Diffusion 1 or 2")]
    Kind {
        /// The model.
        model: String,
        /// What its `model_index.json` says.
        found: String,
    },
    /// The model draws from something else than a prompt alone.
    #[error("'{model}' is a model for {task}: its U-Net takes {in_channels} channels; expected a text-to-image model")]
    Task {
        /// The model.
        model: String,
        /// What it is for.
        task: &'static str,
        /// The channels of its input.
        in_channels: usize,
    },
    /// The device does not compute in this type.
    #[error("{}", not_computed(*.dtype))]
    Dtype {
        /// The type.
        dtype: FloatType,
    },
    /// A file cannot be read.
    #[error("cannot read '{file}': {cause}")]
    Read {
        /// The file.
        file: String,
        /// What the system said.
        cause: io::Error,
    },
    /// A config that does not describe a model that can be built.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Files that are no tokenizer.
    #[error("'{file}': {cause}")]
    Tokenizer {
        /// The file.
        file: String,
        /// What is wrong with it.
        cause: TokenizerError,
    },
    /// The parts belong to different models.
    #[error("the parts of '{model}' do not fit together: {reason}")]
    Inconsistent {
        /// The model.
        model: String,
        /// Which parts.
        reason: String,
    },
    /// The weights do not fill the model.
    #[error(transparent)]
    Weights(#[from] CheckpointError),
    /// A single file that holds no model.
    #[error(transparent)]
    SingleFile(#[from] SingleFileError),
    /// A file that holds no LoRA.
    #[error(transparent)]
    LoraFile(#[from] LoraError),
    /// A LoRA that does not fit the model.
    #[error("the LoRA '{file}' does not fit: {cause}")]
    Lora {
        /// The LoRA.
        file: String,
        /// What does not fit.
        cause: LoraMismatch,
    },
    /// A file that holds no textual inversion.
    #[error(transparent)]
    EmbeddingFile(#[from] EmbeddingError),
    /// A textual inversion that does not fit the model.
    #[error("the embedding '{file}' does not fit: {cause}")]
    Embedding {
        /// The file.
        file: String,
        /// What does not fit.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl From<OpenError> for LoadError {
    fn from(error: OpenError) -> Self {
        Self::Weights(error.into())
    }
}

/// A request that cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// A setting outside its range.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// An option outside the range of this model.
    #[error("{option} is {value}: expected {expected}")]
    Option {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        expected: String,
    },
    /// The tokenizer cannot take the prompt.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The text model cannot take the tokens.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The weights of a prompt cannot be applied.
    #[error(transparent)]
    Weighting(#[from] ApplyWeightsError),
    /// A subject that is not in the prompt.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// No subject was given and the prompt has no noun that could be one.
    #[error(
        "the prompt '{prompt}' has no word that could be a subject; name subjects or token indices, \
         or use the method stable-diffusion"
    )]
    NoSubject {
        /// The prompt, shortened.
        prompt: String,
    },
    /// A prompt that is no composition.
    #[error("the prompt '{prompt}' is no composition: {reason}")]
    Composition {
        /// The prompt, shortened.
        prompt: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A prompt that changes more often than can be drawn.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// A part of a prompt with a weight that is no number.
    #[error(transparent)]
    PartWeight(#[from] PartWeightError),
    /// Networks in angle brackets that nobody has taken out of the prompt.
    #[error(
        "the prompt '{prompt}' names networks in angle brackets, which cannot be loaded here: give them as LoRAs, or read the \
         prompt as plain text"
    )]
    Networks {
        /// The prompt, shortened.
        prompt: String,
    },
    /// A prompt and a negative prompt whose lengths have no common multiple that can be drawn.
    #[error(
        "the prompt has {prompt} tokens and the negative prompt {negative} in their chunks, which takes too much together: make one of \
         them shorter, or pad the shorter one (long_prompts padded)"
    )]
    Lengths {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens of the negative prompt.
        negative: usize,
    },
    /// Attention maps of a prompt that the model never reads as a whole.
    #[error(
        "the parts of the prompt are drawn by themselves: there are no attention maps of the whole; ask for none, or use another \
         method or a prompt without AND"
    )]
    MapsOfParts,
    /// Attention maps of a prompt whose tokens are others from step to step.
    #[error(
        "the prompt changes from step to step: its tokens have no attention maps that could be shown side by side; ask for none, or \
         use a prompt that stays"
    )]
    MapsOfSchedule,
    /// No cross-attention at the wanted resolution.
    #[error("the U-Net has no cross-attention of {wanted}; at this image size it has {available}")]
    AttentionResolution {
        /// Rows and columns asked for.
        wanted: String,
        /// What there is.
        available: String,
    },
    /// Attention layers whose maps are read together and do not fit together.
    #[error("the layers of one set of attention maps must be of one resolution; those named are of {found}")]
    MixedResolutions {
        /// Their resolutions.
        found: String,
    },
    /// A choice of attention layers that means none.
    #[error(transparent)]
    Layers(#[from] LayerChoiceError),
    /// The scheduler cannot be built.
    #[error(transparent)]
    Scheduler(#[from] SchedulerError),
    /// Guidance cannot be set up or carried on.
    #[error(transparent)]
    Guidance(GuidanceError),
    /// A network that is loaded while it is needed cannot be loaded.
    #[error(transparent)]
    Load(Box<LoadError>),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] ComputeError),
    /// The result holds NaN or infinity.
    #[error("the {stage} are not finite: {}", not_finite(*.dtype))]
    NotFinite {
        /// What holds the values: the first network that gave them.
        stage: String,
        /// The type of weights and activations.
        dtype: FloatType,
    },
    /// The observer ended the run.
    #[error("interrupted")]
    Interrupted,
}

/// What a device does not do, and what to do.
fn not_computed(dtype: FloatType) -> String {
    match dtype {
        FloatType::Q8 => "q8 weights are for the CPU alone; use the CPU, or f16, bf16 or f32".to_owned(),
        _ => format!("the device does not compute in {dtype}; use f32"),
    }
}

/// What makes numbers infinite, and what to do.
fn not_finite(dtype: FloatType) -> &'static str {
    match dtype {
        FloatType::F16 => "f16 has no numbers above 65504, which this model needs; use bf16 or f32",
        _ => "guidance scale or scale factor may be too large, or the weights damaged",
    }
}

impl From<LoadError> for PipelineError {
    fn from(error: LoadError) -> Self {
        Self::Load(Box::new(error))
    }
}

impl From<GuidanceError> for PipelineError {
    fn from(error: GuidanceError) -> Self {
        match error {
            GuidanceError::Interrupted => Self::Interrupted,
            GuidanceError::Device(error) => Self::Device(error),
            error => Self::Guidance(error),
        }
    }
}
