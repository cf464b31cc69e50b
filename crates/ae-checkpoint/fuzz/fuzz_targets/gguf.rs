//! A GGUF file: arbitrary bytes behind the magic ones.
#![no_main]

mod uses;

use std::io::Write;

use ae_checkpoint::Checkpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut file = tempfile::NamedTempFile::new_in("/dev/shm").expect("a temporary file");
    file.write_all(b"GGUF").and_then(|()| file.write_all(data)).expect("written");
    if let Ok(checkpoint) = Checkpoint::open(file.path()) {
        // What is quantized is widened, by 256 numbers for 84 bytes at most.
        let numbers: usize = checkpoint.tensors().values().map(|tensor| tensor.num_elements()).sum();
        assert!(numbers <= 8 * data.len() * checkpoint.tensors().len().max(1));
        uses::use_everything(&checkpoint);
    }
});
