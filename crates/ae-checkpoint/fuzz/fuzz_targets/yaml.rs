//! The YAML beside a single file, of arbitrary bytes: both read as a model.
#![no_main]

use std::sync::LazyLock;

use ae_pipeline::{ModelSource, open_model};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// A folder with a checkpoint that has a tensor of each network.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let tensors = [
        ("model.diffusion_model.input_blocks.0.0.weight", 0),
        ("model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", 4),
        ("model.diffusion_model.out.2.weight", 8),
        ("cond_stage_model.transformer.text_model.final_layer_norm.bias", 12),
    ];
    let entry = |(name, start): (&str, usize)| {
        format!(r#""{name}":{{"dtype":"F32","shape":[1,1],"data_offsets":[{start},{}]}}"#, start + 4)
    };
    let header = format!("{{{}}}", tensors.map(entry).join(","));
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.extend([0; 16]);
    let folder = tempfile::tempdir_in("/dev/shm").expect("a temporary folder");
    std::fs::write(folder.path().join("model.safetensors"), file).expect("written");
    folder
});

fuzz_target!(|data: &[u8]| {
    std::fs::write(FOLDER.path().join("model.yaml"), data).expect("written");
    let source = ModelSource::File(FOLDER.path().join("model.safetensors"));
    match open_model(&source, false, None, None) {
        Ok(files) => {
            let _ = (files.scheduler(), files.unet(), files.vae(), files.notice());
        }
        Err(error) => assert!(error.to_string().contains("model.yaml"), "{error}"),
    }
});
