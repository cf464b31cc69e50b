//! The text half of Stable Diffusion: CLIP's tokenizer, its text model on burn, and the way from the
//! words of a prompt to the token positions whose attention maps Attend-and-Excite reads.
//!
//! - [`ClipTokenizer`] gives the token ids of transformers' `CLIPTokenizer`. Its [`TokenizedPrompt`] also
//!   knows each token's place in the text, the prompt's words, and what did not fit.
//! - [`find_subjects`] turns subjects (`cat`, `polar bear`, `cat#2`) into token positions,
//!   [`content_words`] chooses them, [`subjects_at`] takes positions as the reference pipeline does.
//! - [`ClipTextModel`] is transformers' `CLIPTextModel`; what it returns is `text_encoder(ids)[0]`.
//!
//! ```
//! use ae_clip::{ClipTokenizer, TokenizerSettings, find_subjects};
//!
//! # let (vocab, merges) = ae_clip_doc_vocabulary();
//! let tokenizer = ClipTokenizer::from_vocab_and_merges(&vocab, &merges, TokenizerSettings::default())?;
//! let prompt = tokenizer.tokenize("a cat and a dog")?;
//!
//! let subjects = find_subjects(&prompt, &["cat", "dog"])?;
//! assert_eq!(subjects[0].positions, [2]);
//! assert_eq!(subjects[1].positions, [5]);
//! # // A vocabulary of these five words; a real one comes from a model's tokenizer folder.
//! # fn ae_clip_doc_vocabulary() -> (String, String) {
//! #     let vocab = r#"{"a": 0, "c": 1, "d": 2, "n": 3, "o": 4, "a</w>": 5, "t</w>": 6, "d</w>": 7, "g</w>": 8,
//! #         "at</w>": 9, "cat</w>": 10, "og</w>": 11, "dog</w>": 12, "nd</w>": 13, "and</w>": 14,
//! #         "<|startoftext|>": 15, "<|endoftext|>": 16}"#;
//! #     let merges = "#version: 0.2\na t</w>\nc at</w>\no g</w>\nd og</w>\nn d</w>\na nd</w>\n";
//! #     (vocab.to_owned(), merges.to_owned())
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod content_words;
mod prompt;
mod subject;
#[cfg(test)]
mod testing;
mod text_model;
mod tokenizer;
mod words;

pub use config::{Activation, ClipTextModelConfig, ConfigError};
pub use content_words::content_words;
pub use prompt::{Token, TokenKind, TokenizedPrompt, Truncation};
pub use subject::{Subject, SubjectError, find_subjects, subjects_at};
pub use text_model::{ClipTextModel, EncodeError};
pub use tokenizer::{ClipTokenizer, MAX_PROMPT_BYTES, TokenizerError, TokenizerSettings};
pub use words::Word;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
