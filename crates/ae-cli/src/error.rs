use std::io;
use std::path::PathBuf;

use ae_eval::{FolderError, ReportError, ScoringError, ShardEnvironmentError};
use ae_hub::HubError;
use ae_pipeline::{ConvertError, LoadError, PipelineError};
use ae_settings::SettingsError;
use ae_tensor::DeviceError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// A command line that does not make sense; exit code 2.
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Draw(#[from] attend_and_excite::Error),
    #[error(transparent)]
    Latents(#[from] ae_pipeline::InitialLatentsError),
    #[error(transparent)]
    Tensors(#[from] ae_pipeline::SaveError),
    /// Which of several prompts an error belongs to.
    #[error("prompt '{prompt}': {error}")]
    Prompt { prompt: String, error: Box<CliError> },
    #[error("interrupted; {finished} picture(s) were finished and are whole")]
    Interrupted { finished: usize },
    #[error("cannot write '{path}': {cause}; choose another folder with --output", path = path.display())]
    Write { path: PathBuf, cause: io::Error },
    #[error("cannot write to '{path}': {cause}; give {option} another place", path = path.display())]
    Place { path: PathBuf, option: &'static str, cause: io::Error },
    #[error("cannot write the results to the standard output: {0}")]
    Print(io::Error),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("{failed} of {pictures} picture(s) could not be drawn; the first: {first}")]
    NotDrawn { failed: usize, pictures: usize, first: String },
    #[error(transparent)]
    Scoring(#[from] ScoringError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error("'{path}' has no scores: run `ae eval score` first", path = path.display())]
    NoScores { path: PathBuf },
    #[error(transparent)]
    Shard(#[from] ShardEnvironmentError),
    #[error("no figure can be drawn: {0}")]
    Figure(#[from] ae_figures::FigureError),
    #[error(transparent)]
    Engine(#[from] ae_server::EngineError),
    #[error(transparent)]
    Server(#[from] ae_server::ServerError),
    #[error(transparent)]
    Config(#[from] attend_and_excite::UserConfigError),
    #[error("{cause}{advice}", cause = .0, advice = if matches!(.0, ConvertError::Exists { .. }) { "; --force replaces it" } else { "" })]
    Convert(#[from] ConvertError),
    #[error("cannot listen for Ctrl-C: {0}")]
    Signal(#[from] ctrlc::Error),
    #[error("results on {devices} cannot be trusted; another driver or backend may be right (see docs/gpu.md)")]
    SelfTest { devices: String },
}

impl CliError {
    /// A scorer that cannot be loaded.
    pub(crate) fn scorer(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        attend_and_excite::Error::Scorer(Box::new(error)).into()
    }
}

/// Errors that the front door has a place for.
macro_rules! through_the_front_door {
    ($($error:ty),+) => {
        $(impl From<$error> for CliError {
            fn from(error: $error) -> Self {
                Self::Draw(error.into())
            }
        })+
    };
}

through_the_front_door!(DeviceError, HubError, LoadError, PipelineError, SettingsError);
