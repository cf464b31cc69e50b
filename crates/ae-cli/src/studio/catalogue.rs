use std::path::Path;

use ae_hub::Hub;
use ae_pipeline::ModelSource;

use crate::error::CliError;
use crate::model;
use crate::output::Download;

/// A model that clients can choose.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// What clients call it; never a path.
    pub(crate) id: String,
    /// What a person reads.
    pub(crate) title: String,
    /// What `--model` takes; none for the embedded model.
    pub(crate) option: Option<String>,
    pub(crate) source: ModelSource,
}

/// The models that clients can choose: those of the command line, the embedded one, and those in the hub's cache.
#[derive(Clone, Debug)]
pub(crate) struct Catalogue(Vec<Listed>);

impl Catalogue {
    /// Finds all models; those of the command line are downloaded where that is needed.
    pub(crate) fn new(named: &[String], prefer_half: bool, download: &mut Download) -> Result<Self, CliError> {
        let mut catalogue = Self(Vec::new());
        for name in named {
            let source = model::source(Some(name), prefer_half, download)?;
            let id = match Path::new(name).file_name().filter(|_| Path::new(name).exists()) {
                Some(file) => file.to_string_lossy().into_owned(),
                None => name.clone(),
            };
            catalogue.add(id.clone(), id, Some(name.clone()), source);
        }
        if let Some(embedded) = model::embedded_model() {
            catalogue.add("embedded".to_owned(), embedded.name.to_owned(), None, ModelSource::Embedded(embedded));
        }
        let cached = Hub::from_env()?.cached()?;
        for cached in cached.into_iter().filter(|cached| cached.stable_diffusion && cached.complete) {
            let name = cached.short_name();
            if !catalogue.0.iter().any(|listed| listed.option.as_ref() == Some(&name)) {
                catalogue.add(name.clone(), name.clone(), Some(name), ModelSource::folder(cached.folder));
            }
        }
        if catalogue.0.is_empty() {
            let reason = "this build has no embedded model: name a model with --model";
            return Err(CliError::Usage(reason.to_owned()));
        }
        Ok(catalogue)
    }

    fn add(&mut self, id: String, title: String, option: Option<String>, source: ModelSource) {
        let taken = |id: &str| self.0.iter().any(|listed| listed.id == id);
        let numbered = (2..).map(|number| format!("{id} ({number})"));
        let id = std::iter::once(id.clone()).chain(numbered).find(|id| !taken(id)).unwrap_or(id);
        self.0.push(Listed { id, title, option, source });
    }

    /// All of them, the default first; at least one.
    pub(crate) fn models(&self) -> &[Listed] {
        &self.0
    }
}
