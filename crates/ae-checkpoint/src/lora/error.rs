use std::io;

use crate::{EmbeddingError, ForeignError, OpenError};

/// A file that holds no LoRA that can be applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoraError {
    /// The file cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file holds something else.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// A textual inversion in the file cannot be read.
    #[error(transparent)]
    Embedding(#[from] EmbeddingError),
    /// A folder without the file of an adapter, or with those of two.
    #[error("the folder '{name}' {found}; expected one of {expected} in it: give that file, or the folder that has it")]
    Folder {
        /// The folder.
        name: String,
        /// What is in it.
        found: String,
        /// The names of such files.
        expected: String,
    },
    /// A tensor of a kind this crate does not apply.
    #[error("the LoRA '{name}' has '{key}': {what} is not supported")]
    Unsupported {
        /// The file.
        name: String,
        /// The tensor.
        key: String,
        /// What the tensor is a sign of.
        what: &'static str,
    },
    /// A tensor without its partner, or of the wrong shape.
    #[error("the LoRA '{name}' is damaged: {reason}")]
    Damaged {
        /// The file.
        name: String,
        /// Which tensor, and what is wrong with it.
        reason: String,
    },
    /// A tensor or file cannot be read.
    #[error("cannot read '{key}' in the LoRA '{name}': {cause}")]
    Read {
        /// The file.
        name: String,
        /// The tensor.
        key: String,
        /// What went wrong.
        cause: io::Error,
    },
}
