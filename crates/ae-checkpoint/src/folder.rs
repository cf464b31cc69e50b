//! Which file of a network's folder holds its weights.

use std::path::{Path, PathBuf};

use crate::{Checkpoint, OpenError};

/// Names of weights without the ending, as safetensors and as a PyTorch file: diffusers' and transformers'.
const STEMS: [(&str, &str); 2] = [("diffusion_pytorch_model", "diffusion_pytorch_model"), ("model", "pytorch_model")];

impl Checkpoint {
    /// The weights in a folder of diffusers' or transformers' layout, in one file or with an index: safetensors before PyTorch
    /// files, and the half-precision variant (`fp16`) first or last. Nothing is opened.
    pub fn find_in_folder(folder: impl AsRef<Path>, prefer_half: bool) -> Option<PathBuf> {
        let full = STEMS.into_iter().flat_map(|(safetensors, pytorch)| {
            [
                format!("{safetensors}.safetensors"),
                format!("{safetensors}.safetensors.index.json"),
                format!("{pytorch}.bin"),
                format!("{pytorch}.bin.index.json"),
            ]
        });
        // The place of the variant in the name of an index has changed over the versions of diffusers.
        let half = STEMS.into_iter().flat_map(|(safetensors, pytorch)| {
            [
                format!("{safetensors}.fp16.safetensors"),
                format!("{safetensors}.safetensors.index.fp16.json"),
                format!("{safetensors}.fp16.safetensors.index.json"),
                format!("{safetensors}.safetensors.fp16.index.json"),
                format!("{pytorch}.fp16.bin"),
                format!("{pytorch}.bin.index.fp16.json"),
                format!("{pytorch}.fp16.bin.index.json"),
                format!("{pytorch}.bin.fp16.index.json"),
            ]
        });
        let names: Vec<String> = if prefer_half { half.chain(full).collect() } else { full.chain(half).collect() };
        names.into_iter().map(|name| folder.as_ref().join(name)).find(|path| path.exists())
    }

    /// Opens the weights [in a folder](Self::find_in_folder).
    ///
    /// # Errors
    ///
    /// When there are none, and those of [`open`](Self::open) and [`open_sharded`](Self::open_sharded).
    pub fn open_folder(folder: impl AsRef<Path>, prefer_half: bool) -> Result<Self, OpenError> {
        let folder = folder.as_ref();
        match Self::find_in_folder(folder, prefer_half) {
            None => Err(OpenError::NoWeights { folder: folder.display().to_string() }),
            Some(path) if path.extension().is_some_and(|ending| ending == "json") => Self::open_sharded(path),
            Some(path) => Self::open(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[&str], prefer_half: bool) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        let path = Checkpoint::find_in_folder(folder.path(), prefer_half)?;
        Some(path.file_name().unwrap().to_str().unwrap().to_owned())
    }

    #[test]
    fn the_variant_is_taken_where_it_is_preferred_or_alone() {
        let both = ["model.safetensors", "model.fp16.safetensors", "pytorch_model.bin"];
        assert_eq!(found(&both, false).as_deref(), Some("model.safetensors"));
        assert_eq!(found(&both, true).as_deref(), Some("model.fp16.safetensors"));
        assert_eq!(found(&["model.fp16.safetensors"], false).as_deref(), Some("model.fp16.safetensors"));
        let unet = ["config.json", "diffusion_pytorch_model.bin"];
        assert_eq!(found(&unet, true).as_deref(), Some("diffusion_pytorch_model.bin"));
    }

    #[test]
    fn a_folder_without_weights_is_named() {
        assert_eq!(found(&["config.json"], true), None);
        let error = Checkpoint::open_folder("no/such/folder", false).unwrap_err().to_string();
        assert_eq!(
            error,
            "no weights in 'no/such/folder': expected diffusion_pytorch_model.safetensors, model.safetensors or a file with the \
             ending .bin"
        );
    }
}
