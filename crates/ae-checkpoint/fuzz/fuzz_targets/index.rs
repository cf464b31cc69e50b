//! The index of a sharded checkpoint of arbitrary bytes.
#![no_main]

use ae_checkpoint::Checkpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a temporary folder");
    let index = folder.path().join("model.safetensors.index.json");
    std::fs::write(&index, data).expect("written");
    let _ = Checkpoint::open_sharded(index);
});
