#![doc = include_str!("../README.md")]
//!
//! # Where to begin
//!
//! - [`ClipModel`] is transformers' `CLIPModel` with its processors, from a folder as published on Hugging Face.
//! - [`ClipScorer`] makes the paper's scores of its features: full-prompt, minimum-object and text-text similarity.
//! - [`Captioner`] is BLIP: it says in words what a picture shows.
//! - [`ImageProcessor`] brings pictures to a model's size bit by bit as Pillow does.
//! - [`SubjectDetector`] finds the embedded model's subjects in a picture.

/// Bytes of a config, far above that of any model.
const LARGEST_CONFIG: u64 = 4 << 20;

mod blip;
mod clip;
mod detector;
mod image_processor;
mod resample;
mod scorer;
mod templates;
mod vision_config;

pub use ae_config::ConfigError;
pub use ae_tensor::{Checkpoint, CheckpointError, DeviceSpec, FloatType};
pub use blip::{
    BeamScoring, BertTokenizer, BertTokenizerError, Blip, BlipConfig, BlipTextConfig, CaptionError, CaptionOptions,
    Captioner, CaptionerError, GenerationOptions, OptionsError,
};
pub use clip::{ClipConfig, ClipError, ClipModel, Features};
pub use detector::{Detection, DetectorAccuracy, DetectorError, MeasuredAccuracy, SubjectDetector};
pub use image_processor::{ImageProcessor, ImageProcessorError};
pub use scorer::ClipScorer;
pub use templates::IMAGENET_TEMPLATES;
pub use vision_config::VisionConfig;
