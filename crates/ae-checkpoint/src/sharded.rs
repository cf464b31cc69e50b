use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde::Deserialize;

use crate::{Checkpoint, OpenError};

/// The index of a checkpoint in several files (`*.safetensors.index.json`, `*.bin.index.json`).
#[derive(Deserialize)]
struct Index {
    /// The file of every tensor.
    weight_map: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Opens the files that an index names, which lie beside it.
    ///
    /// # Errors
    ///
    /// When the index is no JSON of that kind, names a file outside its folder or a tensor that its file
    /// lacks, and when a file cannot be opened.
    pub fn open_sharded(index: impl AsRef<Path>) -> Result<Self, OpenError> {
        /// Far above the index of any model.
        const LARGEST: u64 = 64 << 20;
        let path = index.as_ref();
        let name = path.display().to_string();
        let invalid = |reason: String| OpenError::Index { name: name.clone(), reason };
        let io = |cause| OpenError::Io { name: name.clone(), cause };
        let text = ae_files::read_text(path, LARGEST).map_err(io)?;
        let Index { weight_map } = serde_json::from_str(&text).map_err(|error| invalid(error.to_string()))?;

        let folder = path.parent().unwrap_or(Path::new(""));
        let files: BTreeSet<&String> = weight_map.values().collect();
        let mut shards = BTreeMap::new();
        for file in files {
            let mut components = Path::new(file).components();
            if !matches!((components.next(), components.next()), (Some(Component::Normal(_)), None)) {
                return Err(invalid(format!("'{file}' is no file beside it")));
            }
            shards.insert(file, Self::open(folder.join(file))?);
        }
        let mut tensors = BTreeMap::new();
        for (key, file) in &weight_map {
            let tensor = shards[file].get(key);
            let tensor = tensor.ok_or_else(|| invalid(format!("the file '{file}' lacks the tensor '{key}'")))?;
            tensors.insert(key.clone(), tensor.clone());
        }
        let files = shards.values().flat_map(|shard: &Self| shard.files().to_vec()).collect();
        Ok(Self::new(name, tensors).with_files(files))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use safetensors::Dtype;
    use safetensors::tensor::TensorView;

    use super::*;

    fn shard(folder: &Path, file: &str, key: &str) {
        let bytes = 1.5f32.to_le_bytes();
        let view = TensorView::new(Dtype::F32, vec![1], &bytes).unwrap();
        fs::write(folder.join(file), safetensors::serialize([(key, view)], None).unwrap()).unwrap();
    }

    fn open(folder: &Path, index: &str) -> Result<Checkpoint, OpenError> {
        let path = folder.join("model.safetensors.index.json");
        fs::write(&path, index).unwrap();
        Checkpoint::open_sharded(path)
    }

    #[test]
    fn the_tensors_of_all_shards_are_one_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        shard(folder.path(), "one", "a");
        shard(folder.path(), "two", "b");
        let checkpoint = open(folder.path(), r#"{"metadata": {}, "weight_map": {"a": "one", "b": "two"}}"#).unwrap();
        assert_eq!(checkpoint.tensors().keys().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn an_index_that_lies_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        shard(folder.path(), "one", "a");
        for (index, named) in [
            ("{", "EOF while parsing"),
            ("{}", "missing field `weight_map`"),
            (r#"{"weight_map": {"b": "one"}}"#, "the file 'one' lacks the tensor 'b'"),
            (r#"{"weight_map": {"a": "../one"}}"#, "'../one' is no file beside it"),
            (r#"{"weight_map": {"a": "/etc/passwd"}}"#, "'/etc/passwd' is no file beside it"),
            (r#"{"weight_map": {"a": ""}}"#, "'' is no file beside it"),
            (r#"{"weight_map": {"a": "two"}}"#, "two"),
        ] {
            let error = open(folder.path(), index).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
