//! The pipeline as the engine of the studio.

mod catalogue;
mod draw;
mod engine;
mod refusals;
mod tokens;

pub use catalogue::{Catalogue, Listed};
pub use engine::StudioEngine;

use ae_pipeline::PipelineError;
use ae_server::EngineError;

fn failed(error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Failed(error.to_string())
}

/// An error of a request: the client can mend it.
#[expect(clippy::needless_pass_by_value, reason = "it stands behind map_err")]
fn refused(error: PipelineError) -> EngineError {
    if matches!(error, PipelineError::Interrupted) {
        return EngineError::Interrupted;
    }
    EngineError::Refused { field: error.field(), message: error.to_string() }
}
