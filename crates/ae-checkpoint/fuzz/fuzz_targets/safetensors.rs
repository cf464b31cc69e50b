//! A safetensors file of arbitrary bytes.
#![no_main]

mod uses;

use ae_checkpoint::Checkpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(checkpoint) = Checkpoint::from_bytes("fuzz", data.to_vec().into()) {
        uses::use_everything(&checkpoint);
    }
});
