use crate::{ForeignError, OpenError};

/// A file that holds no Stable Diffusion model in the original layout.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SingleFileError {
    /// The file holds something else.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// The weights are of a kind that is not read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A parameter that the original layout has no name for.
    #[error(
        "the layout of single files has no name for '{tensor}' of the {network}; a folder in diffusers' layout holds it"
    )]
    NoName {
        /// The network.
        network: &'static str,
        /// The parameter.
        tensor: String,
    },
    /// One of the networks is not in the file.
    #[error("'{name}' holds no {network}: only a part of a Stable Diffusion checkpoint was saved{advice}")]
    Incomplete {
        /// The file.
        name: String,
        /// The network.
        network: &'static str,
        /// What to do about it, after a semicolon, or nothing.
        advice: &'static str,
    },
}
