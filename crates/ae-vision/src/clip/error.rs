use std::io;
use std::path::PathBuf;

use ae_checkpoint::OpenError;
use ae_clip::{EncodeError, TokenizerError};
use ae_config::ConfigError;
use ae_tensor::{CheckpointError, ComputeError, FloatType};

use crate::image_processor::ImageProcessorError;

/// Why a CLIP model cannot be loaded, or cannot look at something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClipError {
    /// A file that cannot be read.
    #[error("cannot read '{}' ({cause}): a CLIP folder holds {holds}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
        /// What the folder should hold.
        holds: &'static str,
    },
    /// A type in which the device does not compute.
    #[error("the device does not compute in {dtype}; try f32")]
    Dtype {
        /// The type asked for.
        dtype: FloatType,
    },
    /// The architecture.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file of the weights.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The weights.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The tokenizer's files, or a text that cannot be tokenized.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The image processor's file, or a picture that cannot be processed.
    #[error(transparent)]
    ImageProcessor(#[from] ImageProcessorError),
    /// Pictures of another size than the model's.
    #[error(
        "preprocessor_config.json makes pictures of {} x {}, the model takes {model} x {model}: the files do not belong together",
        processor[0],
        processor[1]
    )]
    ImageSize {
        /// Width and height that the processor makes.
        processor: [u32; 2],
        /// The side that the model takes.
        model: usize,
    },
    /// Token ids that the model does not have.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A text whose end the model does not know.
    #[error(
        "no token of the text has the id {eos_token_id}, eos_token_id in the text_config of config.json: tokenizer and model do not belong together"
    )]
    NoEnd {
        /// The id that the config names.
        eos_token_id: u32,
    },
    /// Features of another model.
    #[error("the features have {found} numbers, those of this model {expected}: they were computed by another model")]
    Width {
        /// The length of the vectors given.
        found: usize,
        /// That of the model's.
        expected: usize,
    },
    /// The device failed.
    #[error(transparent)]
    Compute(#[from] ComputeError),
}
