use std::path::Path;

use ae_checkpoint::{Checkpoint, Variants};
use ae_config::{ConfigError, Fields};

use super::CheckpointError;

/// A network before it is loaded: its config, and its weights, which are not read yet.
#[derive(Clone, Debug)]
pub struct Component<C> {
    /// The architecture.
    pub config: C,
    /// The parameters, under diffusers' or transformers' names.
    pub weights: Checkpoint,
}

impl<C: TryFrom<Fields, Error = ConfigError>> Component<C> {
    /// Opens a folder in diffusers' or transformers' layout: `config.json`, and the best file of weights there is
    /// ([`Checkpoint::open_folder`]).
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, or the config describes another kind of network. The error names the file.
    pub fn from_folder(folder: impl AsRef<Path>, variants: impl Into<Variants>) -> Result<Self, CheckpointError> {
        let config = Fields::open(folder.as_ref().join("config.json"))?.try_into()?;
        Ok(Self { config, weights: Checkpoint::open_folder(folder, variants)? })
    }
}
