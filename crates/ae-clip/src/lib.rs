#![doc = include_str!("../README.md")]
//!
//! # Where to begin
//!
//! - [`ClipTokenizer`] gives the token ids of transformers' `CLIPTokenizer`. Its [`TokenizedPrompt`] also
//!   knows each token's place in the text, the prompt's words, and what did not fit.
//! - [`find_subjects`] turns subjects (`cat`, `polar bear`, `cat#2`) into token positions,
//!   [`find_phrases`] whole phrases; [`subjects_at`] takes positions as the reference pipeline does.
//! - [`ClipTextModel`] is transformers' `CLIPTextModel`; it returns `text_encoder(ids)[0]`, or the
//!   hidden states some layers before (clip skip).
//! - [`ClipEncoder`] is the stack of layers that CLIP's text model and its vision model share.
//! - [`ClipTokenizer::add_embedding_tokens`] and [`ClipTextModel::add_token_embeddings`] take in a textual
//!   inversion, whose placeholder is then a word of the prompt.
//! - [`ClipTokenizer::tokenize_weighted`] and [`apply_weights`] weight parts of a prompt, as in
//!   `a (cat:1.3) and a [dog]`; [`ClipTokenizer::tokenize_in_chunks`] reads prompts of any length.

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

pub use ae_checkpoint::Family;
pub use ae_config::ConfigError;
pub use ae_tensor::{Checkpoint, CheckpointError, DeviceSpec, FloatType};
pub use config::{Activation, ClipTextModelConfig};
pub use encoder::{ClipEncoder, ClipEncoderConfig};
pub use prompt::{Token, TokenKind, TokenizedPrompt, Truncation};
pub use subject::{Subject, SubjectError, find_phrases, find_subjects, subject_name, subjects_at};
pub use text_model::{ClipTextModel, EncodeError, TokenEmbeddingError};
pub use tokenizer::{ClipTokenizer, MAX_PROMPT_BYTES, MOST_CHUNKS, TokenizerError, TokenizerSettings};
pub use weighting::{
    ApplyWeightsError, WeightError, WeightedPrompt, apply_weights, apply_weights_to_groups, parse_weighted_prompt,
};
pub use words::Word;
