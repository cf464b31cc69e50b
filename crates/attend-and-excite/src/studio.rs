//! The pipeline as the engine of the studio.

mod adapters;
mod catalogue;
mod draw;
mod engine;
mod refusals;
mod tokens;

pub use adapters::AdapterFolders;
pub use catalogue::{Catalogue, Listed};
pub use engine::StudioEngine;

use ae_pipeline::PipelineError;
use ae_server::EngineError;
use ae_settings::SettingsError;

fn failed(error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Failed(error.to_string())
}

/// An error of a request: the client can mend it.
#[expect(clippy::needless_pass_by_value, reason = "it stands behind map_err")]
fn refused(error: PipelineError) -> EngineError {
    let field = match &error {
        PipelineError::Interrupted => return EngineError::Interrupted,
        PipelineError::Option { option, .. } => Some((*option).to_owned()),
        PipelineError::Settings(SettingsError::Value { field, .. } | SettingsError::Unknown { field, .. }) => {
            Some(field.clone())
        }
        PipelineError::Subject(_) | PipelineError::NoSubject { .. } => Some("subjects".to_owned()),
        _ => None,
    };
    EngineError::Refused { field, message: error.to_string() }
}
