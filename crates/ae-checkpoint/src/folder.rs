//! Which file of a network's folder holds its weights.

use std::path::{Path, PathBuf};

use crate::{Checkpoint, OpenError};

/// Names of weights without the ending, as safetensors and as a PyTorch file: diffusers' and transformers'.
const STEMS: [(&str, &str); 2] = [("diffusion_pytorch_model", "diffusion_pytorch_model"), ("model", "pytorch_model")];

/// Which of several sets of weights in a folder to take: the names that they carry before their ending, as `fp16`, the wanted ones
/// first. Weights without such a name are the variant `""`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variants(Vec<String>);

impl Variants {
    /// A variant before the usual weights.
    #[must_use]
    pub fn with_first(mut self, variant: Option<&str>) -> Self {
        self.0.splice(0..0, variant.map(str::to_owned));
        self
    }
}

impl From<bool> for Variants {
    /// Those of half precision (`fp16`) and the others, in the wanted order.
    fn from(prefer_half: bool) -> Self {
        let order = if prefer_half { ["fp16", ""] } else { ["", "fp16"] };
        Self(order.map(str::to_owned).to_vec())
    }
}

/// The names of a variant's weights.
fn names_of(variant: &str) -> Vec<String> {
    let dot = if variant.is_empty() { String::new() } else { format!(".{variant}") };
    // A variant is a part of a file's name, whoever wrote the settings that name it.
    let stems = STEMS.into_iter().filter(|_| !variant.contains(['/', '\\']));
    let names = stems.flat_map(move |(safetensors, pytorch)| {
        // The place of the variant in the name of an index has changed over the versions of diffusers.
        let names = |stem: &str, ending: &str| {
            [
                format!("{stem}{dot}.{ending}"),
                format!("{stem}.{ending}.index{dot}.json"),
                format!("{stem}{dot}.{ending}.index.json"),
                format!("{stem}.{ending}{dot}.index.json"),
            ]
        };
        [names(safetensors, "safetensors"), names(pytorch, "bin")].concat()
    });
    names.collect()
}

impl Checkpoint {
    /// The weights in a folder of diffusers' or transformers' layout, in one file or with an index: the wanted variant first,
    /// safetensors before PyTorch files. Nothing is opened.
    pub fn find_in_folder(folder: impl AsRef<Path>, variants: impl Into<Variants>) -> Option<PathBuf> {
        let names = variants.into().0.into_iter().flat_map(|variant| names_of(&variant));
        names.map(|name| folder.as_ref().join(name)).find(|path| path.exists())
    }

    /// Whether a folder has weights of this variant.
    pub fn has_variant(folder: impl AsRef<Path>, variant: &str) -> bool {
        names_of(variant).into_iter().any(|name| folder.as_ref().join(name).exists())
    }

    /// Opens the weights [in a folder](Self::find_in_folder).
    ///
    /// # Errors
    ///
    /// When there are none, and those of [`open`](Self::open) and [`open_sharded`](Self::open_sharded).
    pub fn open_folder(folder: impl AsRef<Path>, variants: impl Into<Variants>) -> Result<Self, OpenError> {
        let folder = folder.as_ref();
        match Self::find_in_folder(folder, variants) {
            None => Err(OpenError::NoWeights { folder: folder.display().to_string() }),
            Some(path) if path.extension().is_some_and(|ending| ending == "json") => Self::open_sharded(path),
            Some(path) => Self::open(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[&str], variants: impl Into<Variants>) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        let path = Checkpoint::find_in_folder(folder.path(), variants)?;
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
    fn a_named_variant_comes_before_precision() {
        let named = |variant| Variants::from(true).with_first(Some(variant));
        let files = ["model.safetensors", "model.fp16.safetensors", "pytorch_model.non_ema.bin"];
        assert_eq!(found(&files, named("non_ema")).as_deref(), Some("pytorch_model.non_ema.bin"));
        assert_eq!(found(&files, named("ema")).as_deref(), Some("model.fp16.safetensors"));
        assert_eq!(found(&files, Variants::from(false).with_first(None)).as_deref(), Some("model.safetensors"));
        for index in ["safetensors.index.x.json", "x.safetensors.index.json", "safetensors.x.index.json"] {
            let index = format!("diffusion_pytorch_model.{index}");
            assert_eq!(found(&["diffusion_pytorch_model.bin", &index], named("x")), Some(index));
        }
    }

    #[test]
    fn whether_there_is_a_variant_is_seen_from_the_names() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("diffusion_pytorch_model.non_ema.bin"), "").unwrap();
        assert!(Checkpoint::has_variant(folder.path(), "non_ema"));
        for variant in ["ema", "fp16", "", "non_ema.bin", "/../diffusion_pytorch_model.non_ema"] {
            assert!(!Checkpoint::has_variant(folder.path(), variant), "{variant}");
        }
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
