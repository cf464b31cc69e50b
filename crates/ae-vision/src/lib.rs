//! Models that look at pictures: CLIP's image and text features, the BLIP captioner, and the scores that the
//! Attend-and-Excite paper makes of them.
//!
//! - [`Captioner`] is BLIP: pictures in, captions out; [`Blip`] is its model and [`BertTokenizer`] its tokenizer.

mod blip;
mod clip;
mod image_processor;
mod resample;

pub use blip::{
    BeamScoring, BertTokenizer, BertTokenizerError, Blip, BlipConfig, BlipConfigError, BlipTextConfig,
    BlipVisionConfig, CaptionError, CaptionOptions, Captioner, CaptionerError, GenerationOptions, OptionsError,
};
pub use image_processor::{ImageProcessor, ImageProcessorError};
pub use resample::ResampleFilter;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
