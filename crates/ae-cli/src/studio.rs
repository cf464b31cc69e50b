//! The studio's engine: the pipeline behind the server.

mod catalogue;
mod command;
mod draw;
mod engine;
mod request;
mod tokens;

pub(crate) use catalogue::Catalogue;
pub(crate) use engine::StudioEngine;

fn failed(error: &dyn std::fmt::Display) -> ae_server::EngineError {
    ae_server::EngineError::Failed(error.to_string())
}
