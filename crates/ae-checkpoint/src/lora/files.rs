//! Where an adapter lies: in a file, or in a folder as PEFT and diffusers write it.

use std::path::{Path, PathBuf};

use super::{Lora, LoraError};

/// The weights of PEFT's `save_pretrained` and diffusers' `save_lora_weights`, in the two formats of each.
const WEIGHTS: [[&str; 2]; 2] = [
    ["adapter_model.safetensors", "adapter_model.bin"],
    ["pytorch_lora_weights.safetensors", "pytorch_lora_weights.bin"],
];
/// PEFT's config.
pub(super) const CONFIG: &str = "adapter_config.json";

/// The files that are read for an adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoraFiles {
    /// Its weights.
    pub weights: PathBuf,
    /// PEFT's config beside `adapter_model.*`, which has the alpha.
    pub config: Option<PathBuf>,
}

impl Lora {
    /// The files that [`open`](Self::open) reads for a path: a file, or a folder with `adapter_model.*` (PEFT) or `pytorch_lora_weights.*`
    /// (diffusers); of two formats the safetensors, as there.
    ///
    /// # Errors
    ///
    /// When a folder has no such file, or those of both programs.
    pub fn files(path: impl AsRef<Path>) -> Result<LoraFiles, LoraError> {
        let path = path.as_ref();
        let weights = if path.is_dir() { weights_in(path)? } else { path.to_owned() };
        let is_peft = weights.file_stem().is_some_and(|stem| stem == "adapter_model");
        let config = is_peft.then(|| weights.with_file_name(CONFIG)).filter(|config| config.is_file());
        Ok(LoraFiles { weights, config })
    }
}

fn weights_in(folder: &Path) -> Result<PathBuf, LoraError> {
    let found =
        WEIGHTS.iter().filter_map(|names| names.iter().map(|name| folder.join(name)).find(|path| path.is_file()));
    let refuse = |found: &str| {
        let (name, expected) = (folder.display().to_string(), WEIGHTS.as_flattened().join(", "));
        Err(LoraError::Folder { name, found: found.to_owned(), expected })
    };
    match found.collect::<Vec<_>>().as_slice() {
        [] => refuse("has no adapter"),
        [only] => Ok(only.clone()),
        _ => refuse("has an adapter of PEFT and one of diffusers"),
    }
}
