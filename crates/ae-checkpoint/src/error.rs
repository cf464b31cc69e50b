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
    #[error("cannot read the weights '{name}': {cause}")]
    Io {
        /// The file.
        name: String,
        /// What the system said.
        cause: io::Error,
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
    /// The file is shorter than it says.
    #[error("'{name}' is not a whole {format} file, it is truncated ({reason}): fetch it again")]
    Truncated {
        /// The file.
        name: String,
        /// `safetensors`, `PyTorch` or `GGUF`.
        format: &'static str,
        /// How much of it is missing, or where it ends.
        reason: String,
    },
    /// The file begins as one of a format and does not go on as one.
    #[error("'{name}' cannot be read as a {format} file: {reason}")]
    Malformed {
        /// The file.
        name: String,
        /// `safetensors`, `PyTorch` or `GGUF`.
        format: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Weights that mean something only together with scales beside them.
    #[error(
        "the weights of '{name}' are quantized with scales beside them, in {tensor}, which is not supported; choose a file in \
         float16, float32 or float8 without scales"
    )]
    Scaled {
        /// The file.
        name: String,
        /// The first tensor of that kind.
        tensor: String,
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

/// Why a file cannot be read, before it has a name.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It is shorter than it says.
    Truncated(String),
    /// It is no such file.
    Malformed(String),
    /// Its weights are an object, by the Python name of what would make it.
    Object(String),
    /// Its index would take more memory than that of any model.
    Costly,
    /// It is something else: what it is, and what to do about it.
    Foreign(&'static str, &'static str),
}

/// What [`Checkpoint::open`](crate::Checkpoint::open) reads.
pub(crate) const EXPECTED: &str = "weights in a safetensors, PyTorch or GGUF file";

impl Failure {
    pub(crate) fn of(self, name: String, format: &'static str) -> OpenError {
        match self {
            Self::Truncated(reason) => OpenError::Truncated { name, format, reason },
            Self::Malformed(reason) => OpenError::Malformed { name, format, reason },
            Self::Object(object) => OpenError::Object { name, object },
            Self::Costly => OpenError::Costly { name },
            Self::Foreign(found, advice) => ForeignError { name, found, expected: EXPECTED, advice }.into(),
        }
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Malformed(reason)
    }
}

impl From<&str> for Failure {
    fn from(reason: &str) -> Self {
        Self::Malformed(reason.to_owned())
    }
}
