#![doc = include_str!("../README.md")]
//!
//! # Where to begin
//!
//! [`noun_phrases`] tags the words with their part of speech (the crate `english-pos-tagger`) and reads phrases off the tags.

mod chunk;
mod colours;
mod modifiers;
mod phrase;
mod role;
mod tagger;
mod words;

pub use phrase::{MAX_BYTES, NounPhrase, noun_phrases};
