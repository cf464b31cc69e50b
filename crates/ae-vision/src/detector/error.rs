use ae_tensor::{CheckpointError, ComputeError};

use crate::image_processor::ImageProcessorError;

/// Why a detector cannot be made, or cannot look at a picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetectorError {
    /// Text that is no JSON, or a field of the wrong type.
    #[error("detector.json is malformed: {0}")]
    Json(#[from] serde_json::Error),
    /// Another architecture than that of `training/detector.py`.
    #[error("{field} is '{found}' in detector.json; expected '{expected}'")]
    Architecture {
        /// The field.
        field: &'static str,
        /// What it says.
        found: String,
        /// What it says of the detectors that this crate knows.
        expected: &'static str,
    },
    /// Numbers that make no network, or no sense.
    #[error("{field} in detector.json: {reason}")]
    Value {
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The weights.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A picture that cannot be looked at.
    #[error(transparent)]
    Picture(#[from] ImageProcessorError),
    /// The device failed.
    #[error(transparent)]
    Compute(#[from] ComputeError),
}
