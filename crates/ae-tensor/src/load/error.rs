use std::fmt;
use std::io;

use ae_checkpoint::OpenError;
use ae_config::ConfigError;

/// A checkpoint that does not fill its module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file cannot be read as a checkpoint.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The config describes no such network.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The tensors are not those of the module.
    #[error("'{name}' does not fit the model of its config.json: {report}")]
    Mismatch {
        /// The file.
        name: String,
        /// Which tensors.
        report: MismatchReport,
    },
    /// A tensor holds NaN or infinity.
    #[error(
        "'{name}' holds values that are not finite, in {}; the file is damaged or the training diverged",
        some_of(tensors)
    )]
    NotFinite {
        /// The file.
        name: String,
        /// The tensors concerned.
        tensors: Vec<String>,
    },
    /// A tensor cannot be read.
    #[error("cannot read '{tensor}' in '{name}': {cause}")]
    Read {
        /// The file.
        name: String,
        /// The tensor.
        tensor: String,
        /// What went wrong.
        cause: io::Error,
    },
}

/// The tensors in which a checkpoint and a module differ, by parameter path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MismatchReport {
    /// Parameters without a tensor.
    pub missing: Vec<String>,
    /// Tensors without a parameter.
    pub unexpected: Vec<String>,
    /// Tensors of another shape or kind, with what was expected.
    pub misshapen: Vec<String>,
}

impl MismatchReport {
    pub(super) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshapen.is_empty()
    }
}

impl fmt::Display for MismatchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("missing", &self.missing), ("unexpected", &self.unexpected), ("misshapen", &self.misshapen)];
        let mut separator = "";
        for (what, names) in parts.into_iter().filter(|(_, names)| !names.is_empty()) {
            write!(f, "{separator}{} {what}: {}", names.len(), some_of(names))?;
            separator = "; ";
        }
        Ok(())
    }
}

/// The first three of a list of names, and how many more there are.
pub(crate) fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
