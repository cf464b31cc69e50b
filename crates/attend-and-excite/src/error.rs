use std::io;
use std::path::PathBuf;

use ae_pipeline::{LoadError, PipelineError};
use ae_tensor::DeviceError;

/// An image that cannot be drawn, or a model that cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A device that is not there.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A model that cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A build without the embedded model, and no model named.
    #[error("this build has no embedded model: name a model")]
    NoModel,
    /// Neither a path nor a name of the hub.
    #[error("'{name}' is not a file or folder; {reason}")]
    Model {
        /// The name.
        name: String,
        /// Why it is not a name either.
        reason: String,
    },
    /// A model of the hub that is not in the cache, where nothing is downloaded.
    #[error(
        "'{name}' is not in the cache of the hub, of which alone it can be looked at; `ae models pull {name}` downloads it"
    )]
    NotPulled {
        /// The name.
        name: String,
    },
    /// A file that cannot be looked at.
    #[error("cannot read '{path}': {cause}", path = path.display())]
    Inspect {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The hub failed.
    #[cfg(feature = "hub")]
    #[error(transparent)]
    Hub(#[from] ae_hub::HubError),
    /// A request that cannot be drawn.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// An initial image that cannot be read.
    #[error("cannot read the image '{path}': {cause}", path = path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: image::ImageError,
    },
    /// An initial image of more pixels than can be held.
    #[error(
        "the image '{path}' has {width} x {height} pixels, which would take more than 256 MB of memory: make it smaller",
        path = path.display()
    )]
    LargeImage {
        /// The file.
        path: PathBuf,
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
    },
    /// A mask with transparency.
    #[error(
        "the mask '{path}' is transparent in places, which programs read in several ways: give it in black and white alone",
        path = path.display()
    )]
    TransparentMask {
        /// The file.
        path: PathBuf,
    },
    /// A picture whose settings cannot be read.
    #[error(transparent)]
    PictureSettings(#[from] crate::PictureSettingsError),
    /// Values of another program's picture that cannot be honoured.
    #[error(transparent)]
    Unsupported(#[from] ae_settings::a1111::UnsupportedValues),
    /// Networks of a prompt that cannot be loaded.
    #[error(transparent)]
    Networks(#[from] crate::UnknownNetworks),
    /// A file of settings that is not found.
    #[error(transparent)]
    FileSearch(#[from] crate::FileSearchError),
    /// A picture that was drawn from another one, which its settings do not name.
    #[error("'{picture}' was drawn from an initial image that it does not name: give that image", picture = picture.display())]
    NoInitImage {
        /// The picture.
        picture: PathBuf,
    },
    /// A thread that cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// Prompts that are neither a set nor a file.
    #[cfg(feature = "eval")]
    #[error(
        "'{name}' is not a set of prompts (paper, animals, animals-objects, objects, numbers) and cannot be read as a file: {cause}"
    )]
    Prompts {
        /// The name.
        name: String,
        /// What the system says.
        cause: io::Error,
    },
    /// A file of prompts that cannot be used.
    #[cfg(feature = "eval")]
    #[error("the prompts '{name}': {cause}")]
    PromptFile {
        /// The file.
        name: String,
        /// What is wrong with it.
        cause: ae_eval::PromptFileError,
    },
    /// The folder of an evaluation.
    #[cfg(feature = "eval")]
    #[error(transparent)]
    Folder(#[from] ae_eval::FolderError),
    /// A scorer that cannot be loaded.
    #[cfg(feature = "eval")]
    #[error("cannot score: {0}")]
    Scorer(ae_eval::ScorerFailure),
}

impl From<ae_settings::SettingsError> for Error {
    fn from(error: ae_settings::SettingsError) -> Self {
        Self::Pipeline(error.into())
    }
}
