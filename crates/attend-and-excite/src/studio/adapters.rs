use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ae_server::{Adapter, Adapters, EngineError};
use ae_settings::{FileRef, Overrides, Settings, weights_stem};

use crate::file_search::{FileSearch, FileSearchError};
use crate::prompt_networks::{add_prompt_embeddings, can_name_embeddings, take_prompt_networks};
use crate::redraw::check_config;
use crate::{FileHashes, UnknownNetworks};

/// Folders of files that can be chosen beside a model.
#[derive(Clone, Debug, Default)]
pub struct AdapterFolders {
    /// Of LoRAs.
    pub loras: Vec<PathBuf>,
    /// Of textual inversions.
    pub embeddings: Vec<PathBuf>,
    /// Of autoencoders.
    pub vaes: Vec<PathBuf>,
}

/// The folder of weights that have their configuration beside them; otherwise the weights.
fn with_config(weights: &Path) -> &Path {
    let folder = weights.parent().filter(|folder| weights.is_file() && folder.join("config.json").is_file());
    folder.unwrap_or(weights)
}

/// Most embeddings that the prompts of one picture can name; as many as a request may list by itself (`max_adapters`).
const MOST_BY_NAME: usize = 16;

/// The files of one kind: what clients call them, and where they are. Clients never name a path.
struct Files<'a> {
    /// What one is, for errors.
    what: &'static str,
    /// The field of a request.
    field: &'static str,
    search: FileSearch,
    /// Those that are loaded where a request says nothing.
    usual: Vec<&'a str>,
    /// What [`all`](Self::all) found: one request may name many.
    all: OnceCell<BTreeMap<String, PathBuf>>,
}

impl<'a> Files<'a> {
    fn new(what: &'static str, field: &'static str, folders: &[PathBuf], usual: Vec<&'a str>) -> Self {
        Self { what, field, search: FileSearch::new(folders), usual, all: OnceCell::new() }
    }

    /// All of them by their names: that of the file, and with its folder where there are two of one name.
    fn all(&self) -> &BTreeMap<String, PathBuf> {
        self.all.get_or_init(|| self.named())
    }

    fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.usual.iter().map(PathBuf::from).chain(self.search.weights())
    }

    fn named(&self) -> BTreeMap<String, PathBuf> {
        let mut all = BTreeMap::new();
        for path in self.paths() {
            let part = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // An autoencoder in diffusers' layout is its folder.
            let named: &Path = if self.field == "vae" { with_config(&path) } else { &path };
            let (name, folder) = (part(named), named.parent().map(part).unwrap_or_default());
            let inner = format!("{folder}/{name}");
            match all.get(&name) {
                None => all.insert(name, path),
                Some(known) if *known == path => None,
                Some(_) => all.insert(inner, path),
            };
        }
        all
    }

    fn list(&self) -> Vec<Adapter> {
        let adapter = |(name, path): (&String, &PathBuf)| Adapter {
            bytes: fs::metadata(path).map_or(0, |metadata| metadata.len()),
            usual: self.usual.iter().any(|usual| Path::new(usual) == path),
            name: name.clone(),
        };
        self.all().iter().map(adapter).collect()
    }

    /// The file that a name and a hash mean, of which either is enough.
    fn find(&self, name: &str, sha256: Option<&str>) -> Result<String, EngineError> {
        let file = FileRef { name: name.to_owned(), sha256: sha256.map(str::to_owned) };
        let all = self.all();
        let without_ending = || all.iter().find(|(known, _)| weights_stem(known) == name).map(|(_, path)| path.clone());
        let usual = || self.usual.iter().find(|path| FileRef::new(**path).base_name() == file.base_name());
        let listed = all.get(name).cloned().or_else(without_ending);
        if let Some(path) = listed.or_else(|| usual().map(PathBuf::from)) {
            let other = sha256.and_then(|sha256| FileHashes::from_env().differs(&path, sha256).ok().flatten());
            if other.is_none() {
                return Ok(path.display().to_string());
            }
        }
        let refuse = |reason: String| EngineError::refused(self.field, reason);
        self.search.find(&file).map(|path| path.display().to_string()).map_err(|error| {
            if let FileSearchError::Different { found, expected, .. } = error {
                let (what, name) = (self.what, file.base_name());
                return refuse(format!(
                    "the {what} '{name}' here is not the one that the settings name: its SHA-256 is {found}, expected {expected}"
                ));
            }
            let names: Vec<_> = all.keys().take(20).map(|name| format!("'{name}'")).collect();
            let here = if names.is_empty() { "there is none".to_owned() } else { names.join(", ") };
            let name: String = file.base_name().chars().take(60).collect();
            refuse(format!("there is no {} '{name}' here; what can be chosen: {here}", self.what))
        })
    }
}

/// What is loaded with a model, and what can be.
#[derive(Clone, Debug)]
pub(super) struct AdapterFiles {
    folders: AdapterFolders,
    /// What every model is loaded with where a request says nothing.
    shared: Settings,
}

impl AdapterFiles {
    pub(super) fn new(folders: AdapterFolders, shared: &Overrides) -> Self {
        let mut settings = Settings::default();
        settings.apply(shared);
        Self { folders, shared: settings }
    }

    /// What every model is loaded with where a request says nothing.
    pub(super) fn shared(&self) -> &Settings {
        &self.shared
    }

    fn loras(&self) -> Files<'_> {
        let usual = self.shared.loras.iter().map(|lora| lora.name.as_str()).collect();
        Files::new("LoRA", "loras", &self.folders.loras, usual)
    }

    fn embeddings(&self) -> Files<'_> {
        let usual = self.shared.embeddings.iter().map(|embedding| embedding.name.as_str()).collect();
        Files::new("embedding", "embeddings", &self.folders.embeddings, usual)
    }

    fn vaes(&self) -> Files<'_> {
        let usual = self.shared.vae.iter().map(|vae| vae.name.as_str()).collect();
        Files::new("VAE", "vae", &self.folders.vaes, usual)
    }

    pub(super) fn list(&self) -> Adapters {
        Adapters { loras: self.loras().list(), embeddings: self.embeddings().list(), vaes: self.vaes().list() }
    }

    /// A request with the paths of the files that it names, also in its prompt, and the usual ones where it names none.
    ///
    /// # Errors
    ///
    /// Names the field whose file is not here.
    pub(super) fn resolve(&self, given: &Overrides) -> Result<Overrides, EngineError> {
        let mut resolved = given.clone();
        let files = self.loras();
        match &mut resolved.loras {
            None => resolved.loras = Some(self.shared.loras.clone()),
            Some(loras) => {
                for lora in loras {
                    lora.name = files.find(&lora.name, lora.sha256.take().as_deref())?;
                    // The weights of PEFT have a part of what they do in a file beside them.
                    if let Some(expected) = lora.config_sha256.take() {
                        check_config(&lora.name, expected).map_err(|_| {
                            let name = FileRef::new(&lora.name).base_name().to_owned();
                            let reason = "is not the one that the settings name";
                            EngineError::refused("loras", format!("the adapter_config.json beside '{name}' {reason}"))
                        })?;
                    }
                }
            }
        }
        let files = self.embeddings();
        match &mut resolved.embeddings {
            None => resolved.embeddings = Some(self.shared.embeddings.clone()),
            Some(embeddings) => {
                for embedding in embeddings {
                    embedding.name = files.find(&embedding.name, embedding.sha256.take().as_deref())?;
                }
            }
        }
        match &mut resolved.vae {
            None => resolved.vae.clone_from(&self.shared.vae),
            Some(vae) => {
                let weights = self.vaes().find(&vae.name, vae.sha256.take().as_deref())?;
                vae.name = with_config(Path::new(&weights)).display().to_string();
            }
        }
        // The errors of a tag are those of the prompt.
        let loras = self.loras();
        let find =
            |name: &str| loras.find(name, None).map_err(|error| EngineError::refused("prompt", error.to_string()));
        let mut resolved = take_prompt_networks(&resolved, &find)?;
        if can_name_embeddings(given) {
            let count = add_prompt_embeddings(&mut resolved, self.embeddings().paths().collect());
            if count > MOST_BY_NAME {
                let message = format!("the prompts name {count} embeddings: expected at most {MOST_BY_NAME}");
                return Err(EngineError::refused("prompt", message));
            }
        }
        Ok(resolved)
    }

    /// An error without the paths of the files, which clients must not see.
    pub(super) fn without_paths(settings: &Settings, message: &str) -> String {
        let loras = settings.loras.iter().map(|lora| &lora.name);
        let names = loras.chain(settings.embeddings.iter().map(|embedding| &embedding.name));
        let names = names.chain(settings.vae.iter().map(|vae| &vae.name));
        let shorten = |message: String, path: &String| message.replace(path.as_str(), FileRef::new(path).base_name());
        names.fold(message.to_owned(), shorten)
    }
}

impl From<UnknownNetworks> for EngineError {
    fn from(error: UnknownNetworks) -> Self {
        Self::refused("prompt", error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use ae_settings::{EmbeddingRef, LoraRef, PromptSyntax};

    use super::*;
    use crate::file_hash::tests::{digest, old_file};

    struct Place {
        folder: tempfile::TempDir,
        files: AdapterFiles,
    }

    fn place() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (file, content) in [
            ("l/ink.safetensors", "1"),
            ("l/sub/ink.safetensors", "2"),
            ("e/toy.pt", "3"),
            ("secret.pt", "4"),
            ("v/ft/config.json", "{}"),
            ("v/ft/diffusion_pytorch_model.safetensors", "6"),
            ("v/one.pt", "7"),
            ("own.pt", "5"),
        ] {
            old_file(&at(file), content.as_bytes());
        }
        let mut shared = Overrides::default();
        shared.loras = Some(vec![LoraRef::new(at("own.pt").display().to_string(), 0.5)]);
        let folders = AdapterFolders { loras: vec![at("l")], embeddings: vec![at("e")], vaes: vec![at("v")] };
        Place { files: AdapterFiles::new(folders, &shared), folder }
    }

    #[test]
    fn files_are_listed_by_name_and_the_usual_ones_are_marked() {
        let list = place().files.list();
        let named: Vec<_> = list.loras.iter().map(|lora| (lora.name.as_str(), lora.bytes, lora.usual)).collect();
        assert_eq!(named, [("ink.safetensors", 1, false), ("own.pt", 1, true), ("sub/ink.safetensors", 1, false)]);
        let vaes: Vec<_> = list.vaes.iter().map(|vae| vae.name.as_str()).collect();
        assert_eq!((list.embeddings[0].name.as_str(), vaes), ("toy.pt", vec!["ft", "one.pt"]));
    }

    #[test]
    fn names_and_hashes_become_paths_of_the_folders_alone() {
        let Place { folder, files } = place();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let lora = |name: &str, sha256: Option<String>| {
            let mut given = Overrides::default();
            given.loras = Some(vec![LoraRef { sha256, ..LoraRef::new(name, 0.7) }]);
            let resolved = files.resolve(&given).map_err(|error| error.to_string());
            resolved.map(|resolved| resolved.loras.unwrap().remove(0).name)
        };
        assert_eq!(lora("ink.safetensors", None), Ok(path("l/ink.safetensors")));
        assert_eq!(lora("sub/ink.safetensors", None), Ok(path("l/sub/ink.safetensors")));
        assert_eq!(lora("ink", None), Ok(path("l/ink.safetensors")));
        assert_eq!(lora("sub/ink", None), Ok(path("l/sub/ink.safetensors")));
        // What a picture says of it is found wherever it lies.
        assert_eq!(lora("ink.safetensors", Some(digest(b"2"))), Ok(path("l/sub/ink.safetensors")));
        assert_eq!(lora("renamed.safetensors", Some(digest(b"1"))), Ok(path("l/ink.safetensors")));
        assert_eq!(lora("own.pt", Some(digest(b"5"))), Ok(path("own.pt")));
        for name in ["secret.pt", "../secret.pt", &path("secret.pt"), "", "toy.pt"] {
            let error = lora(name, None).unwrap_err();
            assert!(error.starts_with("there is no LoRA '") && !error.contains(&path("")), "{name}: {error}");
        }
        let error = lora("ink.safetensors", Some(digest(b"9"))).unwrap_err();
        assert!(error.contains("'ink.safetensors' here is not the one") && !error.contains(&path("")), "{error}");
    }

    #[test]
    fn an_autoencoder_may_be_a_folder() {
        let Place { folder, files } = place();
        let vae = |name: &str, sha256: Option<String>| {
            let mut given = Overrides::default();
            given.vae = Some(FileRef { name: name.to_owned(), sha256 });
            let path = PathBuf::from(files.resolve(&given).unwrap().vae.unwrap().name);
            path.strip_prefix(folder.path()).unwrap().display().to_string()
        };
        assert_eq!((vae("ft", None), vae("one", None)), ("v/ft".to_owned(), "v/one.pt".to_owned()));
        assert_eq!(vae("ft", Some(digest(b"6"))), "v/ft");
    }

    #[test]
    fn what_is_not_named_is_usual_and_a_prompt_may_name_more() {
        let Place { folder, files } = place();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut given = Overrides::default();
        given.prompt = Some("a cat <lora:ink:0.25>".to_owned());
        given.prompt_syntax = Some(PromptSyntax::A1111);
        given.embeddings = Some(vec![EmbeddingRef::new("toy.pt", Some("toy".to_owned()))]);
        let resolved = files.resolve(&given).unwrap();
        let loras = vec![LoraRef::new(path("own.pt"), 0.5), LoraRef::new(path("l/ink.safetensors"), 0.25)];
        assert_eq!((resolved.loras, resolved.prompt.as_deref()), (Some(loras), Some("a cat")));
        assert_eq!(resolved.embeddings.unwrap()[0].name, path("e/toy.pt"));
        // A word that is the name of an embedding stands for it.
        (given.embeddings, given.negative_prompt) = (None, Some("ugly toy".to_owned()));
        let embedding = EmbeddingRef::new(path("e/toy.pt"), Some("toy".to_owned()));
        assert_eq!(files.resolve(&given).unwrap().embeddings, Some(vec![embedding]));
        given.prompt = Some("a <lora:none:1>".to_owned());
        let EngineError::Refused { field, message } = files.resolve(&given).unwrap_err() else { panic!() };
        assert_eq!(field.as_deref(), Some("prompt"));
        assert!(
            message.starts_with("there is no LoRA 'none' here; what can be chosen: 'ink.safetensors'"),
            "{message}"
        );
        given.prompt = Some("a <hypernet:h:1>".to_owned());
        assert!(files.resolve(&given).unwrap_err().to_string().contains("hypernetworks"));
    }
}
