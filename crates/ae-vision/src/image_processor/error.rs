use std::io;
use std::path::PathBuf;

/// An image processor's config that cannot be followed, or pictures that cannot be processed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageProcessorError {
    /// A file that cannot be read.
    #[error("cannot read '{}' ({source}): the model's folder holds it as published on Hugging Face", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Text that is no JSON, or a field of the wrong type.
    #[error("preprocessor_config.json is malformed: {0}")]
    Json(#[from] serde_json::Error),
    /// A processor of another family of models.
    #[error("preprocessor_config.json is of a '{0}'; expected one of CLIP or BLIP")]
    Kind(String),
    /// A number that makes no sense.
    #[error("{field} is {found} in preprocessor_config.json; expected {expected}")]
    Value {
        /// The field.
        field: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// Pictures would come out in different sizes.
    #[error("preprocessor_config.json does not bring all pictures to one size: {0}")]
    Sizes(&'static str),
    /// A batch of nothing.
    #[error("no pictures to look at: give at least one")]
    NoPictures,
    /// A picture of no width or no height.
    #[error("the picture has no pixels: give one of at least 1 x 1")]
    EmptyPicture,
}
