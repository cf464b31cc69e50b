use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ae_hub::{FileChoice, Hub, KNOWN, ModelId, Progress};
use ae_pipeline::{LoadError, ModelSource, check_model, load_vocabulary, open_model};
use ae_settings::Vocabulary;

use crate::file_search::FileSearch;
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
    /// Where it is; none for a model that is known by a short name and was not downloaded.
    pub found: Option<FoundModel>,
    /// Bytes of its files, or about those of its download.
    pub bytes: Option<u64>,
    /// The licence of its weights, where it is known.
    pub licence: Option<String>,
    /// One line on what it is, where it is known.
    pub description: Option<String>,
    /// The words that it knows, of a model of few things.
    pub vocabulary: Option<Vocabulary>,
}

impl Listed {
    /// What `--model` takes, as clients read it: of a path its last component, for where it lies on this machine is nobody's affair.
    pub fn public_option(&self) -> Option<&str> {
        self.option.as_deref().map(|option| if Path::new(option).exists() { self.id.as_str() } else { option })
    }
}

/// The models that clients can choose: those of the command line, the embedded one, those of folders, those in the hub's cache, and
/// those that are known by a short name.
#[derive(Clone, Debug)]
pub struct Catalogue {
    models: Vec<Arc<Listed>>,
    notes: Vec<String>,
}

impl Catalogue {
    /// Finds all models; those that are named are downloaded where that is needed. Of the files in `folders` those that cannot be
    /// drawn with are named in the [notes](Self::notes).
    ///
    /// # Errors
    ///
    /// When a named model is not found, or there is none at all.
    pub fn new(
        named: &[String],
        folders: &[PathBuf],
        choice: &FileChoice,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        let mut catalogue = Self { models: Vec::new(), notes: Vec::new() };
        for name in named {
            let found = FoundModel::find(name, choice, progress)?;
            let id = match Path::new(name).file_name().filter(|_| Path::new(name).exists()) {
                Some(file) => file.to_string_lossy().into_owned(),
                None => name.clone(),
            };
            catalogue.add(Listed { option: Some(name.clone()), ..Listed::of(id, found)? });
        }
        if let Some(embedded) = embedded_model() {
            let listed = Listed::of("embedded".to_owned(), FoundModel::embedded()?)?;
            let licence = Some("see `ae notices`".to_owned());
            catalogue.add(Listed { title: embedded.name.to_owned(), licence, ..listed });
        }
        for path in folders.iter().flat_map(|folder| FileSearch::new([folder]).models()) {
            catalogue.add_path(&path);
        }
        let cached = Hub::from_env()?.cached()?;
        for cached in cached.into_iter().filter(|cached| cached.stable_diffusion && cached.complete) {
            let name = cached.short_name();
            if !catalogue.models.iter().any(|listed| listed.option.as_ref() == Some(&name)) {
                let found = FoundModel::cached(name.clone(), cached.folder, cached.commit);
                let licence = cached.known.map(|known| known.licence.to_owned());
                let description = cached.known.map(|known| known.description.to_owned());
                let (option, bytes) = (Some(name.clone()), Some(cached.bytes));
                match Listed::of(name.clone(), found) {
                    Ok(listed) => catalogue.add(Listed { option, bytes, licence, description, ..listed }),
                    Err(error) => catalogue.notes.push(format!("'{name}' is left out: {error}")),
                }
            }
        }
        if catalogue.models.is_empty() {
            return Err(Error::NoModel);
        }
        for known in KNOWN {
            if !catalogue.models.iter().any(|listed| listed.id == known.alias) {
                catalogue.add(Listed {
                    title: known.alias.to_owned(),
                    option: Some(known.alias.to_owned()),
                    bytes: Some(known.download_bytes(choice.prefer_half)),
                    licence: Some(known.licence.to_owned()),
                    description: Some(known.description.to_owned()),
                    ..Listed::without_files(known.alias.to_owned())
                });
            }
        }
        Ok(catalogue)
    }

    /// Adds a model of a folder, or notes what is wrong with it.
    fn add_path(&mut self, path: &Path) {
        let found = FoundModel::at(path);
        let is_there = |listed: &Arc<Listed>| {
            let same = |other: &FoundModel| other.source.name() == found.source.name();
            listed.found.as_ref().is_some_and(same)
        };
        if self.models.iter().any(is_there) {
            return;
        }
        let check = |source: &ModelSource| -> Result<(), LoadError> {
            check_model(source, &*open_model(source, false, None, None)?)
        };
        let id = found.name.clone().unwrap_or_default();
        match check(&found.source).map_err(Error::from).and_then(|()| Listed::of(id.clone(), found)) {
            Ok(listed) => self.add(Listed { option: Some(id), ..listed }),
            Err(error) => self.notes.push(format!("'{}' is left out: {error}", path.display())),
        }
    }

    fn add(&mut self, mut listed: Listed) {
        let taken = |id: &str| self.models.iter().any(|listed| listed.id == id);
        let id = listed.id;
        let numbered = (2..).map(|number| format!("{id} ({number})"));
        listed.id = std::iter::once(id.clone()).chain(numbered).find(|id| !taken(id)).unwrap_or_else(|| id.clone());
        self.models.push(Arc::new(listed));
    }

    /// All of them, the default first; at least one, which is here.
    pub fn models(&self) -> &[Arc<Listed>] {
        &self.models
    }

    /// The files of the folders that are not among them, with the reasons.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// A model that was downloaded is one of those that are here.
    pub(super) fn arrived(&mut self, id: &str, found: &FoundModel) -> Result<(), Error> {
        for listed in self.models.iter_mut().filter(|listed| listed.id == id) {
            let arrived = Listed::of(id.to_owned(), found.clone())?;
            let Listed { found, bytes, vocabulary, .. } = arrived;
            *listed = Arc::new(Listed { found, bytes, vocabulary, ..Listed::clone(listed) });
        }
        Ok(())
    }
}

impl Listed {
    fn without_files(id: String) -> Self {
        let (option, found, bytes, licence, description, vocabulary) = Default::default();
        Self { title: id.clone(), id, option, found, bytes, licence, description, vocabulary }
    }

    fn of(id: String, found: FoundModel) -> Result<Self, Error> {
        let bytes = Some(match &found.source {
            ModelSource::Folder(path) | ModelSource::File(path) => bytes_of(path, 0),
            ModelSource::Embedded(model) => model.files.iter().map(|(_, content)| content.len() as u64).sum(),
            _ => 0,
        });
        let vocabulary = load_vocabulary(&found.source)?;
        Ok(Self { bytes: bytes.filter(|bytes| *bytes > 0), vocabulary, found: Some(found), ..Self::without_files(id) })
    }

    /// What is to be done before it can be drawn with; none where it is here.
    pub(super) fn is_missing(&self) -> Option<String> {
        let size = self.bytes.map(|bytes| format!(" ({})", crate::size(bytes))).unwrap_or_default();
        let missing = format!("the model '{}' is not on this machine: download it first{size}", self.id);
        self.found.is_none().then_some(missing)
    }

    /// Downloads it: the short names of the hub alone.
    pub(super) fn fetch(&self, choice: &FileChoice, progress: &mut dyn Progress) -> Result<FoundModel, Error> {
        let refused = |reason: String| Error::Model { name: self.id.clone(), reason };
        if !KNOWN.iter().any(|known| known.alias == self.id) {
            return Err(refused("it is no name that `ae models` knows".to_owned()));
        }
        let id = ModelId::parse(&self.id).map_err(|error| refused(error.to_string()))?;
        let fetched = Hub::from_env()?.fetch(&id, choice, progress)?;
        Ok(FoundModel::cached(self.id.clone(), fetched.path, fetched.commit))
    }
}

/// Bytes of a file, or of those in a folder.
fn bytes_of(path: &Path, depth: usize) -> u64 {
    /// A model's folder is two deep.
    const DEEPEST: usize = 3;
    let Ok(metadata) = fs::metadata(path) else { return 0 };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    if depth < DEEPEST { entries.map(|entry| bytes_of(&entry.path(), depth + 1)).sum() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_its_models_and_says_what_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let sprites = folder.path().join("inner/sprites");
        for (name, bytes) in embedded_model().unwrap().files {
            let path = sprites.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        fs::write(sprites.join("model_index.json"), r#"{"_class_name": "StableDiffusionPipeline"}"#).unwrap();
        fs::write(folder.path().join("broken.safetensors"), "no weights").unwrap();
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        let folders = [folder.path().to_owned()];
        let catalogue = Catalogue::new(&[], &folders, &FileChoice::default(), &mut ()).unwrap();
        let found: Vec<_> = catalogue.models().iter().filter(|listed| listed.id == "sprites").collect();
        let [listed] = found[..] else { panic!("{found:?}") };
        assert_eq!(listed.vocabulary.as_ref().unwrap().summary(), "24 things in 11 colours");
        assert!(listed.bytes > Some(1_000_000) && listed.is_missing().is_none());
        let [note] = catalogue.notes() else { panic!("{:?}", catalogue.notes()) };
        assert!(note.contains("broken.safetensors' is left out: "), "{note}");
        assert_eq!(catalogue.models()[0].id, "embedded");
    }

    #[test]
    fn a_known_name_waits_to_be_downloaded_and_no_other_is() {
        let catalogue = Catalogue::new(&[], &[], &FileChoice::default(), &mut ()).unwrap();
        let remote = catalogue.models().iter().filter(|listed| listed.found.is_none());
        assert!(remote.clone().all(|listed| listed.is_missing().unwrap().contains("download it first (")));
        assert!(remote.count() <= KNOWN.len());
        let other = Listed::without_files("org/name".to_owned());
        let error = other.fetch(&FileChoice::default(), &mut ()).unwrap_err();
        assert!(matches!(error, Error::Model { .. }), "{error}");
    }
}
