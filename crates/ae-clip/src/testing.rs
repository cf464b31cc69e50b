//! A small tokenizer with CLIP's layout for the tests of this crate.

use std::collections::HashSet;

use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use crate::prompt::END_OF_WORD;
use crate::tokenizer::{ClipTokenizer, TokenizerSettings};

/// The words that are one token. Every other word falls into single characters.
const WORDS: [&str; 9] = ["a", "and", "cat", "dog", "polar", "bear", "red", "blue", "'s"];

pub(crate) fn tokenizer() -> ClipTokenizer {
    let (vocab, merges) = vocabulary();
    ClipTokenizer::from_vocab_and_merges(&vocab, &merges, TokenizerSettings::default()).unwrap()
}

/// `vocab.json` and `merges.txt`.
pub(crate) fn vocabulary() -> (String, String) {
    let mut bytes: Vec<_> = ByteLevel::alphabet().into_iter().map(String::from).collect();
    bytes.sort_unstable();
    let ends: Vec<_> = bytes.iter().map(|byte| format!("{byte}{END_OF_WORD}")).collect();
    let mut tokens = [bytes, ends].concat();
    let mut merges = vec!["#version: 0.2".to_owned()];
    for word in WORDS {
        let mut characters = word.chars().rev();
        let mut right = format!("{}{END_OF_WORD}", characters.next().unwrap());
        for left in characters {
            merges.push(format!("{left} {right}"));
            right = format!("{left}{right}");
            tokens.push(right.clone());
        }
    }
    tokens.extend(["<|startoftext|>", "<|endoftext|>"].map(str::to_owned));
    let mut seen = HashSet::new();
    tokens.retain(|token| seen.insert(token.clone()));
    let vocab: serde_json::Map<_, _> = tokens.into_iter().enumerate().map(|(id, token)| (token, id.into())).collect();
    (serde_json::Value::from(vocab).to_string(), merges.join("\n"))
}
