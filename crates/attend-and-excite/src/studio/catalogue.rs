use std::path::Path;

use ae_hub::{FileChoice, Hub, Progress};

use crate::{Error, FoundModel, embedded_model};

/// A model that clients can choose.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What clients call it; never a path.
    pub id: String,
    /// What a person reads.
    pub title: String,
    /// What `--model` takes; none for the embedded model.
    pub option: Option<String>,
    /// Where it is.
    pub found: FoundModel,
}

impl Listed {
    /// What `--model` takes, as clients read it: of a path its last component, for where it lies on this machine is nobody's affair.
    pub fn public_option(&self) -> Option<&str> {
        self.option.as_deref().map(|option| if Path::new(option).exists() { self.id.as_str() } else { option })
    }
}

/// The models that clients can choose: those of the command line, the embedded one, and those in the hub's cache.
#[derive(Clone, Debug)]
pub struct Catalogue(Vec<Listed>);

impl Catalogue {
    /// Finds all models; those that are named are downloaded where that is needed.
    ///
    /// # Errors
    ///
    /// When a named model is not found, or there is none at all.
    pub fn new(named: &[String], choice: &FileChoice, progress: &mut dyn Progress) -> Result<Self, Error> {
        let mut catalogue = Self(Vec::new());
        for name in named {
            let found = FoundModel::find(name, choice, progress)?;
            let id = match Path::new(name).file_name().filter(|_| Path::new(name).exists()) {
                Some(file) => file.to_string_lossy().into_owned(),
                None => name.clone(),
            };
            catalogue.add(id.clone(), id, Some(name.clone()), found);
        }
        if let Some(embedded) = embedded_model() {
            catalogue.add("embedded".to_owned(), embedded.name.to_owned(), None, FoundModel::embedded()?);
        }
        let cached = Hub::from_env()?.cached()?;
        for cached in cached.into_iter().filter(|cached| cached.stable_diffusion && cached.complete) {
            let name = cached.short_name();
            if !catalogue.0.iter().any(|listed| listed.option.as_ref() == Some(&name)) {
                let found = FoundModel::cached(name.clone(), cached.folder, cached.commit);
                catalogue.add(name.clone(), name.clone(), Some(name), found);
            }
        }
        if catalogue.0.is_empty() {
            return Err(Error::NoModel);
        }
        Ok(catalogue)
    }

    fn add(&mut self, id: String, title: String, option: Option<String>, found: FoundModel) {
        let taken = |id: &str| self.0.iter().any(|listed| listed.id == id);
        let numbered = (2..).map(|number| format!("{id} ({number})"));
        let id = std::iter::once(id.clone()).chain(numbered).find(|id| !taken(id)).unwrap_or(id);
        self.0.push(Listed { id, title, option, found });
    }

    /// All of them, the default first; at least one.
    pub fn models(&self) -> &[Listed] {
        &self.0
    }
}
