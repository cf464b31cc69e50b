//! Models that look at pictures: CLIP's image and text features, the BLIP captioner, and the scores that the
//! Attend-and-Excite paper makes of them.

mod blip;
mod clip;
mod image_processor;
mod resample;

pub use blip::{
    BertTokenizer, BertTokenizerError, Blip, BlipConfig, BlipConfigError, BlipTextConfig, BlipVisionConfig,
    CaptionError, CaptionOptions, Captioner, CaptionerError, GenerationOptions, OptionsError,
};
pub use image_processor::{ImageProcessor, ImageProcessorError};
pub use resample::ResampleFilter;
