use ae_config::ConfigError;
use ae_tensor::{CheckpointError, ComputeError};

use crate::image_processor::ImageProcessorError;

/// Why a detector cannot be made, or cannot look at a picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetectorError {
    /// A `detector.json` that is not JSON, or describes another architecture than that of `training/detector.py`.
    #[error(transparent)]
    Config(#[from] ConfigError),
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
