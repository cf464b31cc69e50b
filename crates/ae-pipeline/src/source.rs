use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use ae_tensor::Weights;

use crate::LoadError;

/// Where a model in diffusers' folder layout comes from.
#[derive(Clone, Debug)]
pub enum ModelSource {
    /// A folder on disk.
    Folder(PathBuf),
    /// Files compiled into the program.
    Embedded(&'static EmbeddedModel),
}

/// A model folder compiled into a program.
#[derive(Debug)]
pub struct EmbeddedModel {
    /// Its name.
    pub name: &'static str,
    /// Path within the folder, with `/`, and content of every file.
    pub files: &'static [(&'static str, &'static [u8])],
}

impl ModelSource {
    /// A folder on disk.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Self::Folder(path.into())
    }

    /// The folder, or the name of the embedded model.
    pub fn name(&self) -> String {
        match self {
            Self::Folder(path) => path.display().to_string(),
            Self::Embedded(model) => model.name.to_owned(),
        }
    }

    /// The text of a file, or `None` when the model has no such file.
    pub(crate) fn optional_text(&self, path: &str) -> Result<Option<Cow<'static, str>>, LoadError> {
        /// Far above any config or vocabulary; a larger file is something else.
        const LARGEST: u64 = 64 << 20;
        let failed = |source| LoadError::Read { file: self.describe(path), source };
        let not_text = || failed(io::Error::new(io::ErrorKind::InvalidData, "the file is not UTF-8 text"));
        match self {
            Self::Folder(folder) => {
                let file = folder.join(path);
                match std::fs::metadata(&file) {
                    // Also where the model itself is a file: `missing` says which it is.
                    Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                        return Ok(None);
                    }
                    Err(error) => return Err(failed(error)),
                    Ok(metadata) if metadata.len() > LARGEST => {
                        return Err(failed(io::Error::new(
                            io::ErrorKind::FileTooLarge,
                            "the file is no text of a model",
                        )));
                    }
                    Ok(_) => {}
                }
                let bytes = std::fs::read(&file).map_err(failed)?;
                String::from_utf8(bytes).map(|text| Some(text.into())).map_err(|_| not_text())
            }
            Self::Embedded(_) => match self.embedded(path) {
                None => Ok(None),
                Some(bytes) => std::str::from_utf8(bytes).map(|text| Some(text.into())).map_err(|_| not_text()),
            },
        }
    }

    /// The text of a file that every model has.
    pub(crate) fn text(&self, path: &str) -> Result<Cow<'static, str>, LoadError> {
        self.optional_text(path)?.ok_or_else(|| self.missing(path))
    }

    /// The weights in a file that every model has.
    pub(crate) fn weights(&self, path: &str) -> Result<Weights, LoadError> {
        match self {
            Self::Folder(folder) => {
                let file = folder.join(path);
                if file.exists() { Ok(Weights::File(file)) } else { Err(self.missing(path)) }
            }
            Self::Embedded(_) => {
                let bytes = self.embedded(path).ok_or_else(|| self.missing(path))?;
                Ok(Weights::Memory { name: self.describe(path), bytes: bytes.into() })
            }
        }
    }

    /// A file of the model as errors name it.
    pub(crate) fn describe(&self, path: &str) -> String {
        match self {
            Self::Folder(folder) => folder.join(path).display().to_string(),
            Self::Embedded(model) => format!("{}/{path}", model.name),
        }
    }

    fn embedded(&self, path: &str) -> Option<&'static [u8]> {
        let Self::Embedded(model) = self else { return None };
        model.files.iter().find(|(name, _)| *name == path).map(|(_, bytes)| *bytes)
    }

    fn missing(&self, path: &str) -> LoadError {
        match self {
            Self::Folder(folder) if !folder.exists() => LoadError::NoFolder { folder: self.name() },
            Self::Folder(folder) if !folder.is_dir() => LoadError::NotAFolder { folder: self.name() },
            _ => LoadError::MissingFile { model: self.name(), file: path.to_owned() },
        }
    }
}
