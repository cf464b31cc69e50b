//! The noun phrases of an English prompt: where they are, what their heads are, and which of them the picture is to show.
//!
//! [`noun_phrases`] tags the words with their part of speech (the crate `english-pos-tagger`) and reads phrases off the tags.
//! Which tagger, and how often it is right, is in the README.
//!
//! ```
//! let text = "a photo of a polar bear and an orange cat";
//! let phrases = ae_phrases::noun_phrases(text);
//!
//! let texts: Vec<_> = phrases.iter().map(|phrase| &text[phrase.span.clone()]).collect();
//! assert_eq!(texts, ["a photo", "a polar bear", "an orange cat"]);
//! let shown = phrases.iter().filter(|phrase| phrase.is_shown);
//! let heads: Vec<_> = shown.map(|phrase| &text[phrase.head.clone()]).collect();
//! assert_eq!(heads, ["bear", "cat"]);
//! assert_eq!(&text[phrases[2].colours[0].clone()], "orange");
//! ```

mod chunk;
mod colours;
mod phrase;
mod role;
mod tagger;
mod words;

pub use phrase::{MAX_BYTES, NounPhrase, noun_phrases};

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
