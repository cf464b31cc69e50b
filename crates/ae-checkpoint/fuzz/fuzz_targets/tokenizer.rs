//! The files of a tokenizer, each of arbitrary text: parts of the input between zeros.
#![no_main]

use ae_clip::{ClipTokenizer, TokenizerSettings};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut parts = text.split('\0');
    let mut next = || parts.next().unwrap_or_default();
    let (first, second, config, map, added) = (next(), next(), next(), next(), next());
    let settings = || TokenizerSettings {
        tokenizer_config: Some(config).filter(|text| !text.is_empty()),
        special_tokens_map: Some(map).filter(|text| !text.is_empty()),
        added_tokens: Some(added).filter(|text| !text.is_empty()),
    };
    for tokenizer in [
        ClipTokenizer::from_tokenizer_json(first, settings()),
        ClipTokenizer::from_vocab_and_merges(first, second, settings()),
    ] {
        if let Ok(tokenizer) = tokenizer {
            let _ = tokenizer.tokenize("a cat and a (dog:1.2)");
        }
    }
});
