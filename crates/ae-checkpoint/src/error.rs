use std::io;

/// A file that is something else than was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{name}' is {found}; expected {expected}{advice}")]
#[non_exhaustive]
pub struct ForeignError {
    /// The file.
    pub name: String,
    /// What it is or holds.
    pub found: &'static str,
    /// What was expected.
    pub expected: &'static str,
    /// What to do with it, after a semicolon, or nothing.
    pub advice: &'static str,
}

/// A file that cannot be read as a checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file cannot be opened or read.
    #[error("cannot read the weights '{name}': {source}")]
    Io {
        /// The file.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// A folder without weights.
    #[error(
        "no weights in '{folder}': expected diffusion_pytorch_model.safetensors, model.safetensors or a file with the ending \
         .bin"
    )]
    NoWeights {
        /// The folder.
        folder: String,
    },
    /// The file begins as a safetensors or PyTorch file and does not go on as one.
    #[error("'{name}' is not a whole {format} file ({reason}); it may be truncated: fetch it again")]
    Malformed {
        /// The file.
        name: String,
        /// `safetensors` or `PyTorch`.
        format: &'static str,
        /// What the parser said.
        reason: String,
    },
    /// A PyTorch file with objects that only its own program understands.
    #[error(
        "'{name}' holds an object that cannot be read as data: {object}; save its state_dict alone, or convert it to \
         safetensors"
    )]
    Object {
        /// The file.
        name: String,
        /// The Python type.
        object: String,
    },
    /// A PyTorch file whose index is made to exhaust memory or time.
    #[error(
        "'{name}' is no model: its index would take more memory than that of any model; fetch it from a source that you trust"
    )]
    Costly {
        /// The file.
        name: String,
    },
    /// The file is something else.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// The index of a sharded checkpoint does not describe one.
    #[error("the index '{name}' does not describe a sharded checkpoint: {reason}")]
    Index {
        /// The index file.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}
