use std::path::{Path, PathBuf};

use ae_checkpoint::{Checkpoint, OpenError};

/// The files that may hold a model's weights in transformers' layout, the best first.
const FILES: [&str; 4] =
    ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

/// The file of the weights in a folder, if there is one.
pub(crate) fn weights_file(folder: &Path) -> Option<PathBuf> {
    FILES.iter().map(|name| folder.join(name)).find(|path| path.exists())
}

/// Opens a file of weights, or all that an index names.
pub(crate) fn open_weights(path: &Path) -> Result<Checkpoint, OpenError> {
    let is_index = path.extension().is_some_and(|extension| extension == "json");
    if is_index { Checkpoint::open_sharded(path) } else { Checkpoint::open(path) }
}
