use std::io;
use std::path::PathBuf;

use ae_tensor::{CheckpointError, ComputeError, FloatType};

use super::config::BlipConfigError;
use super::options::OptionsError;
use super::tokenizer::BertTokenizerError;

/// A folder that holds no BLIP captioner.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptionerError {
    /// The config cannot be read.
    #[error(
        "cannot read '{path}': {source}; a captioner's folder holds config.json, model.safetensors and vocab.txt or \
         tokenizer.json",
        path = path.display()
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The config describes something else.
    #[error(transparent)]
    Config(#[from] BlipConfigError),
    /// The tokenizer's files are not what they should be.
    #[error(transparent)]
    Tokenizer(#[from] BertTokenizerError),
    /// The tokenizer has ids that the model has not.
    #[error(
        "the tokenizer's largest id is {largest}, the model has {vocab_size} tokens: tokenizer and model do not belong \
         together"
    )]
    Vocabulary {
        /// The largest id.
        largest: u32,
        /// The number of the model's tokens.
        vocab_size: usize,
    },
    /// The weights are not those of the config.
    #[error(transparent)]
    Weights(#[from] CheckpointError),
    /// The device does not compute in this type.
    #[error("the device does not compute in {dtype}; choose f32")]
    Dtype {
        /// The type asked for.
        dtype: FloatType,
    },
}

/// Pictures that cannot be captioned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptionError {
    /// The options ask for the impossible.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The prompt cannot be tokenized.
    #[error(transparent)]
    Tokenizer(#[from] BertTokenizerError),
    /// The device failed.
    #[error(transparent)]
    Compute(#[from] ComputeError),
    /// The model computes no numbers.
    #[error(
        "the captioner's logits of picture {picture} are no finite numbers; its weights are damaged, or need f32 instead of \
         a half-precision type"
    )]
    NotFinite {
        /// The place of the picture in its batch.
        picture: usize,
    },
}
