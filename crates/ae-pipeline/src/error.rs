use std::io;

use ae_clip::{EncodeError, SubjectError, TokenizerError};
use ae_guidance::GuidanceError;
use ae_scheduler::SchedulerError;
use ae_tensor::CheckpointError;

/// A model that cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There is no such folder.
    #[error("the model folder '{folder}' does not exist")]
    NoFolder {
        /// The folder.
        folder: String,
    },
    /// The path is a file.
    #[error("'{folder}' is a file; expected a model folder in diffusers' layout")]
    NotAFolder {
        /// The path.
        folder: String,
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
    /// A file cannot be read.
    #[error("cannot read '{file}': {source}")]
    Read {
        /// The file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// A config does not describe a model that can be built.
    #[error("'{file}': {source}")]
    Config {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
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
}

/// A request that cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// An option outside its range.
    #[error("{option} is {value}: expected {expected}")]
    Option {
        /// The option, by its command line name.
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
    #[error("the tokenizer and the text encoder do not fit together: {0}")]
    Encode(#[from] EncodeError),
    /// A subject that is not in the prompt.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// No subject was given and the prompt has no content word.
    #[error(
        "the prompt '{prompt}' has no word that could be a subject; name subjects or token indices, \
         or use the method stable-diffusion"
    )]
    NoSubject {
        /// The prompt, shortened.
        prompt: String,
    },
    /// No cross-attention at the wanted resolution.
    #[error("the U-Net has no cross-attention of {wanted}; at this image size it has {available}")]
    AttentionResolution {
        /// Rows and columns asked for.
        wanted: String,
        /// What there is.
        available: String,
    },
    /// The scheduler cannot be built.
    #[error(transparent)]
    Scheduler(#[from] SchedulerError),
    /// Guidance cannot be set up or carried on.
    #[error(transparent)]
    Guidance(GuidanceError),
    /// The result holds NaN or infinity.
    #[error("the {stage} are not finite: guidance scale or scale factor may be too large, or the weights damaged")]
    NotFinite {
        /// What holds the values.
        stage: &'static str,
    },
    /// The observer ended the run.
    #[error("interrupted")]
    Interrupted,
}

impl From<GuidanceError> for PipelineError {
    fn from(error: GuidanceError) -> Self {
        match error {
            GuidanceError::Interrupted => Self::Interrupted,
            error => Self::Guidance(error),
        }
    }
}
