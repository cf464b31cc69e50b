use std::io;
use std::path::PathBuf;

use ae_config::ConfigError;

/// An image processor's config that cannot be followed, or pictures that cannot be processed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageProcessorError {
    /// A file that cannot be read.
    #[error("cannot read '{}' ({cause}): the model's folder holds it as published on Hugging Face", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Text that is not JSON, a processor of another family, and settings no model has or that leave images of several sizes.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A batch of nothing.
    #[error("no pictures to look at: give at least one")]
    NoPictures,
    /// A picture of no width or no height.
    #[error("the picture has no pixels: give one of at least 1 x 1")]
    EmptyPicture,
}
