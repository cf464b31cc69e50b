use std::path::Path;

use ae_tensor::{Checkpoint, CheckpointError};

/// The files that may hold a model's weights, the best first.
const FILES: [&str; 4] =
    ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

/// Opens the weights in a folder of transformers' layout; of a folder without any, the error names the usual file.
pub(super) fn open_weights(folder: &Path) -> Result<Checkpoint, CheckpointError> {
    let path = FILES.iter().map(|name| folder.join(name)).find(|path| path.exists());
    let path = path.unwrap_or_else(|| folder.join(FILES[0]));
    let is_index = path.extension().is_some_and(|extension| extension == "json");
    Ok(if is_index { Checkpoint::open_sharded(path)? } else { Checkpoint::open(path)? })
}
