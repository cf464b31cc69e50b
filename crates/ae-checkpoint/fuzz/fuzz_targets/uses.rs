//! Everything the crate does with a checkpoint.

use ae_checkpoint::{Checkpoint, CheckpointKind, Lora, SingleFile};

/// Reads the tensors and interprets their names; whatever comes out, nothing may panic.
pub fn use_everything(checkpoint: &Checkpoint) {
    for (name, tensor) in checkpoint.tensors() {
        let bytes = tensor.bytes();
        if tensor.is_float() {
            let values = tensor.to_f32().expect("floats");
            assert_eq!(values.len(), tensor.num_elements(), "{name}");
            assert!(bytes.len() >= values.len());
        }
    }
    let _ = CheckpointKind::of(checkpoint);
    let _ = Lora::read(checkpoint);
    let _ = SingleFile::vae_of(checkpoint);
    if let Ok(model) = SingleFile::split(checkpoint) {
        let networks = [Some(model.unet), Some(model.text_encoder), model.vae];
        for (name, tensor) in networks.iter().flatten().flat_map(Checkpoint::tensors) {
            assert!(!tensor.is_float() || tensor.bytes().len() >= tensor.num_elements(), "{name}");
        }
    }
}
