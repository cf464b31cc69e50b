use std::path::Path;

use ae_pipeline::{EmbeddedModel, ModelSource};

use crate::Error;

/// A model that was found, and what names it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FoundModel {
    /// Where it is.
    pub source: ModelSource,
    /// The name that finds it again: the last part of a path, or the name on the hub; none for the embedded model, which
    /// names itself.
    pub name: Option<String>,
    /// The revision of a model of the hub.
    pub revision: Option<String>,
    /// What the user should know of how it was found.
    pub warning: Option<String>,
}

impl FoundModel {
    fn of(source: ModelSource) -> Self {
        Self { source, name: None, revision: None, warning: None }
    }

    /// The model compiled in.
    ///
    /// # Errors
    ///
    /// [`Error::NoModel`] in a build without the feature `embedded`.
    pub fn embedded() -> Result<Self, Error> {
        embedded_model().map(|model| Self::of(ModelSource::Embedded(model))).ok_or(Error::NoModel)
    }

    /// A folder in diffusers' layout, or a single file.
    pub fn at(path: &Path) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Self { name, ..Self::of(ModelSource::path(path)) }
    }

    /// The model that a text means: a path that exists, the name of the embedded model, else a name on the hub, which is
    /// fetched. Of the weights on the hub, `choice` chooses.
    ///
    /// # Errors
    ///
    /// When there is no such model, or the hub fails.
    #[cfg(feature = "hub")]
    pub fn find(name: &str, choice: &ae_hub::FileChoice, progress: &mut dyn ae_hub::Progress) -> Result<Self, Error> {
        if let Some(local) = Self::local(name) {
            return Ok(local);
        }
        let id = ae_hub::ModelId::parse(name)
            .map_err(|error| Error::Model { name: name.to_owned(), reason: error.to_string() })?;
        let ae_hub::Fetched { path, commit, warning, .. } = ae_hub::Hub::from_env()?.fetch(&id, choice, progress)?;
        Ok(Self { warning, ..Self::cached(name.to_owned(), path, commit) })
    }

    /// A model in the cache of the hub, by its name there: a folder or a file, of a commit.
    #[cfg(feature = "hub")]
    pub fn cached(name: String, path: std::path::PathBuf, commit: String) -> Self {
        Self { name: Some(name), revision: Some(commit), ..Self::of(ModelSource::path(path)) }
    }

    /// The model that a text means, without the hub: a path that exists, or the name of the embedded model.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] when it is neither.
    pub fn find_local(name: &str) -> Result<Self, Error> {
        let reason =
            "expected a folder in diffusers' layout, a single file, or the name of the embedded model".to_owned();
        Self::local(name).ok_or_else(|| Error::Model { name: name.to_owned(), reason })
    }

    fn local(name: &str) -> Option<Self> {
        let path = Path::new(name);
        if path.exists() {
            return Some(Self::at(path));
        }
        let model = embedded_model().filter(|model| name == "embedded" || model.own_name().as_deref() == Some(name))?;
        Some(Self::of(ModelSource::Embedded(model)))
    }
}

/// Which weights of a hub's model settings ask for.
#[cfg(feature = "hub")]
pub fn weights_choice(settings: &ae_settings::Settings) -> ae_hub::FileChoice {
    let prefer_half = settings.dtype != ae_settings::FloatType::F32;
    ae_hub::FileChoice { prefer_half, variant: settings.variant.clone() }
}

/// The files of the model compiled in, if there is one.
pub fn embedded_model() -> Option<&'static EmbeddedModel> {
    #[cfg(feature = "embedded")]
    let model = Some(&crate::embedded::SPRITES);
    #[cfg(not(feature = "embedded"))]
    let model = None;
    model
}
