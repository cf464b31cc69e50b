//! A file of arbitrary bytes, of whatever format it looks like: zip archives, pickles, textual inversions.
#![no_main]

mod uses;

use std::io::Write;

use ae_checkpoint::{Checkpoint, Embedding};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut file = tempfile::NamedTempFile::new_in("/dev/shm").expect("a temporary file");
    file.write_all(data).expect("written");
    if let Ok(checkpoint) = Checkpoint::open(file.path()) {
        uses::use_everything(&checkpoint);
    }
    let _ = Embedding::open(file.path(), Some("token"));
});
