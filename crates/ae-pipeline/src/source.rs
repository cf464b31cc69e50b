use std::path::{Path, PathBuf};

/// Where a model comes from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ModelSource {
    /// A folder in diffusers' layout.
    Folder(PathBuf),
    /// One file in the original layout (CompVis, Stability AI), `.safetensors` or `.ckpt`.
    File(PathBuf),
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

impl EmbeddedModel {
    /// The name that the model gives itself in its `attend_and_excite.json`.
    pub fn own_name(&self) -> Option<String> {
        let text = std::str::from_utf8(self.file("attend_and_excite.json")?).ok()?;
        serde_json::from_str::<crate::ModelDefaults>(text).ok()?.name
    }

    /// The content of a file.
    pub(crate) fn file(&self, path: &str) -> Option<&'static [u8]> {
        self.files.iter().find(|(name, _)| *name == path).map(|(_, bytes)| *bytes)
    }
}

impl ModelSource {
    /// A path on disk: a single file where there is something else than a folder, else a folder.
    pub fn path(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_owned();
        if path.exists() && !path.is_dir() { Self::File(path) } else { Self::Folder(path) }
    }

    /// A folder on disk.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Self::Folder(path.into())
    }

    /// The path, or the name of the embedded model.
    pub fn name(&self) -> String {
        match self {
            Self::Folder(path) | Self::File(path) => path.display().to_string(),
            Self::Embedded(model) => model.name.to_owned(),
        }
    }
}
