//! The text chunks of a PNG file of arbitrary bytes.
#![no_main]

use std::io::Cursor;

use ae_files::png_chunks::{LARGEST_TEXT, TextChunks};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(mut chunks) = TextChunks::open(Cursor::new(data)) else { return };
    for keyword in ["settings", "parameters", "none"] {
        if let Ok(Some(text)) = chunks.get(keyword) {
            assert!(text.len() <= LARGEST_TEXT);
            let shown = ae_files::show_foreign(&text, 100, false);
            assert!(!shown.contains(|character: char| character.is_control()));
        }
    }
});
