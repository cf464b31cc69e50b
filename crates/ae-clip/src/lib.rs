//! The text half of Stable Diffusion: CLIP's tokenizer, its text model on burn, and the way from the
//! words of a prompt to the token positions whose attention maps Attend-and-Excite reads.
//!
//! - [`ClipTokenizer`] gives the token ids of transformers' `CLIPTokenizer`. Its [`TokenizedPrompt`] also
//!   knows each token's place in the text, the prompt's words, and what did not fit. OpenAI's vocabulary is
//!   built in, for checkpoints without a tokenizer.
//! - [`find_subjects`] turns subjects (`cat`, `polar bear`, `cat#2`) into token positions,
//!   [`find_phrases`] whole phrases; [`subjects_at`] takes positions as the reference pipeline does.
//! - [`ClipTextModel`] is transformers' `CLIPTextModel`; what it returns is `text_encoder(ids)[0]`, or the
//!   hidden states some layers before (clip skip).
//! - [`ClipEncoder`] is what CLIP's text model and its vision model have in common.
//! - [`ClipTokenizer::add_embedding_tokens`] and [`ClipTextModel::add_token_embeddings`] take in a textual
//!   inversion, whose placeholder is then a word of the prompt.
//! - [`ClipTokenizer::tokenize_weighted`] and [`apply_weights`] weight parts of a prompt, as in
//!   `a (cat:1.3) and a [dog]`.
//!
//! ```
//! use ae_clip::{ClipTokenizer, find_subjects};
//!
//! let tokenizer = ClipTokenizer::stable_diffusion_1();
//! let prompt = tokenizer.tokenize("a cat and a dog")?;
//!
//! let subjects = find_subjects(&prompt, &["cat", "dog"])?;
//! assert_eq!(subjects[0].positions, [2]);
//! assert_eq!(subjects[1].positions, [5]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod encoder;
mod prompt;
mod subject;
#[cfg(test)]
mod testing;
mod text_model;
mod tokenizer;
mod weighting;
mod words;

pub use ae_config::ConfigError;
pub use config::{Activation, ClipTextModelConfig};
pub use encoder::{ClipEncoder, ClipEncoderConfig};
pub use prompt::{Token, TokenKind, TokenizedPrompt, Truncation};
pub use subject::{Subject, SubjectError, find_phrases, find_subjects, subject_name, subjects_at};
pub use text_model::{ClipTextModel, EncodeError, TokenEmbeddingError};
pub use tokenizer::{ClipTokenizer, MAX_PROMPT_BYTES, TokenizerError, TokenizerSettings};
pub use weighting::{ApplyWeightsError, WeightError, WeightedPrompt, apply_weights, parse_weighted_prompt};
pub use words::Word;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
