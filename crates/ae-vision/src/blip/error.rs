use std::io;
use std::path::PathBuf;

use ae_config::ConfigError;
use ae_tensor::{CheckpointError, ComputeError, FloatType};

use super::options::OptionsError;
use super::tokenizer::BertTokenizerError;
use crate::ImageProcessorError;

/// A folder that holds no BLIP captioner.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptionerError {
    /// The config cannot be read.
    #[error(
        "cannot read '{path}': {cause}; a captioner's folder holds config.json, model.safetensors and vocab.txt or \
         tokenizer.json",
        path = path.display()
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The config describes something else.
    #[error(transparent)]
    Config(#[from] ConfigError),
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
    /// The image processor's config is not what it should be.
    #[error(transparent)]
    ImageProcessor(#[from] ImageProcessorError),
    /// The image processor makes pictures of another size than the model's.
    #[error(
        "preprocessor_config.json makes pictures of {} x {} pixels, config.json expects {expected} x {expected}",
        found[0],
        found[1]
    )]
    PictureSize {
        /// Width and height that the image processor makes.
        found: [u32; 2],
        /// The side of the model's pictures.
        expected: usize,
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
    /// A picture cannot be brought to the model's size.
    #[error(transparent)]
    Picture(#[from] ImageProcessorError),
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
