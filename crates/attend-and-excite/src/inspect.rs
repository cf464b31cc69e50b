//! What a file, a folder or a model is, without loading it.

mod adapter;
mod folder;
mod model;
mod picture;
mod text;
mod weights;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ae_pipeline::ModelSource;
use serde::Serialize;
use serde_json::{Map, Value};

pub use adapter::Adapter;

use crate::{Error, FileHashes, FoundModel};

/// What is known of a file, a folder or a model. [`Display`](std::fmt::Display) is for people, serde for programs.
///
/// Only names and shapes are read, and the bytes for the hashes: no weight becomes a number.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// What was asked for.
    pub name: String,
    /// Where it is; none for the embedded model.
    pub path: Option<PathBuf>,
    /// What it is, in words.
    pub kind: String,
    /// The generation of Stable Diffusion, of models that can be drawn with.
    pub family: Option<String>,
    /// Bytes on disk.
    pub bytes: u64,
    /// What it can be used for, or why it cannot be.
    pub verdict: String,
    /// SHA-256 and the short hashes of other programs, of a file.
    pub hashes: BTreeMap<&'static str, String>,
    /// The tensors of each type of numbers.
    pub types: BTreeMap<String, usize>,
    /// What is inside.
    pub parts: Vec<Part>,
    /// What a LoRA changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<Adapter>,
    /// What a picture is drawn with where nothing else is said.
    pub defaults: BTreeMap<&'static str, Value>,
    /// What is inside and not used.
    pub ignored: Vec<String>,
    /// What else should be known.
    pub notes: Vec<String>,
    /// The texts beside the tensors, or of a picture.
    pub metadata: BTreeMap<String, String>,
    /// The tags of the pictures that a LoRA was trained with, and how often each was given; the most frequent first.
    pub training_tags: Vec<(String, u64)>,
    /// The settings of a picture.
    pub settings: Map<String, Value>,
}

/// A part of a model or a file.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Part {
    /// Its name: a network, the beginning of the tensors' names, or a file.
    pub name: String,
    /// What it is, where its name does not say it.
    pub kind: Option<String>,
    /// Tensors in it.
    pub tensors: usize,
    /// Numbers in all of them.
    pub parameters: usize,
    /// The types of the numbers.
    pub types: Vec<String>,
    /// The files it is in, with their SHA-256.
    pub files: BTreeMap<String, String>,
}

/// Looks at a path, the embedded model, or a model in the hub's cache. Nothing is downloaded.
///
/// # Errors
///
/// When there is no such thing, or it cannot be read at all. What is there and cannot be drawn with is no error.
pub fn inspect(name: &str) -> Result<Inspection, Error> {
    let found = find(name)?;
    let mut inspection = Inspection { name: name.to_owned(), ..Inspection::default() };
    let (ModelSource::File(path) | ModelSource::Folder(path)) = &found.source else {
        model::look(&found.source, &mut inspection);
        return Ok(inspection);
    };
    inspection.path = Some(path.clone());
    let failed = |cause| Error::Inspect { path: path.clone(), cause };
    if fs::metadata(path).map_err(failed)?.is_dir() {
        folder::look(path, &mut inspection).map_err(failed)?;
    } else {
        look_at_file(path, &mut inspection).map_err(failed)?;
    }
    Ok(inspection)
}

fn look_at_file(path: &Path, inspection: &mut Inspection) -> std::io::Result<()> {
    inspection.bytes = fs::metadata(path)?.len();
    if !picture::look(path, inspection)? {
        weights::look(path, inspection);
    }
    let hashes = FileHashes::from_env();
    inspection.hashes.insert("sha256", hashes.sha256(path)?);
    inspection.hashes.extend(hashes.short_hashes(path)?);
    Ok(())
}

#[cfg(feature = "hub")]
fn find(name: &str) -> Result<FoundModel, Error> {
    use ae_hub::{FileChoice, Hub, HubError, HubSettings, ModelId};
    if let Ok(found) = FoundModel::find_local(name) {
        return Ok(found);
    }
    let id = ModelId::parse(name).map_err(|error| Error::Model { name: name.to_owned(), reason: error.to_string() })?;
    let mut settings = HubSettings::from_env()?;
    settings.offline = true;
    match Hub::new(settings)?.fetch(&id, &FileChoice::default(), &mut ()) {
        Ok(fetched) => Ok(FoundModel::cached(name.to_owned(), fetched.path, fetched.commit)),
        Err(HubError::NotCached { .. }) => Err(Error::NotPulled { name: name.to_owned() }),
        // A part of a model, and one of another family, can be looked at.
        Err(HubError::Incomplete { folder, .. }) => Ok(FoundModel::at(&folder)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(feature = "hub"))]
fn find(name: &str) -> Result<FoundModel, Error> {
    FoundModel::find_local(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_an_error() {
        assert!(matches!(inspect("no/such/file.safetensors/x"), Err(Error::Model { .. })));
    }

    #[cfg(feature = "embedded")]
    #[test]
    fn the_embedded_model_is_described_without_a_file() {
        let found = inspect("embedded").unwrap();
        assert_eq!((found.kind.as_str(), &found.path), ("the model compiled in", &None));
        assert_eq!(found.verdict, "can be drawn with");
        let names: Vec<_> = found.parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["text encoder", "U-Net", "autoencoder"]);
        assert!(found.parts.iter().all(|part| part.tensors > 10 && part.parameters > part.tensors));
        assert_eq!(found.defaults["width"], 128);
        let text = found.to_string();
        assert!(text.contains("U-Net") && text.contains("defaults"), "{text}");
    }

    #[test]
    fn any_file_has_a_size_and_hashes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        fs::write(&path, "abc").unwrap();
        let found = inspect(path.to_str().unwrap()).unwrap();
        assert_eq!(found.bytes, 3);
        assert_eq!(found.hashes["sha256"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(found.hashes["a1111"], "ba7816bf8f");
        assert!(found.verdict.starts_with("cannot be used"), "{}", found.verdict);
    }
}
