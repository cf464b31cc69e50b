//! The BLIP captioner: transformers' `BlipForConditionalGeneration`.

mod captioner;
mod config;
mod error;
mod generate;
mod model;
mod options;
mod search;
mod text_decoder;
mod tokenizer;
mod vision_model;

pub use captioner::Captioner;
pub use config::{BlipConfig, BlipTextConfig};
pub use error::{CaptionError, CaptionerError};
pub use model::Blip;
pub use options::{BeamScoring, CaptionOptions, GenerationOptions, OptionsError};
pub use tokenizer::{BertTokenizer, BertTokenizerError};
