//! CLIP with both towers: transformers' `CLIPModel`.

mod config;
mod error;
mod features;
mod load;
mod vision_model;

use ae_clip::{ClipTextModel, ClipTokenizer};
use ae_tensor::nn::linear;
use ae_tensor::read;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use image::RgbImage;

pub use config::ClipConfig;
pub use error::ClipError;
pub use features::Features;
pub(crate) use features::{dot, normalized};
use vision_model::ClipVisionModel;

use crate::image_processor::ImageProcessor;

/// Pictures that are computed at a time: with ViT-L/14, 70 MB inside a feed-forward block.
const PICTURES: usize = 16;
/// Texts that are computed at a time.
const TEXTS: usize = 80;

/// CLIP: pictures and texts as vectors that can be compared. transformers' `CLIPModel` with its processors, from a
/// folder as published on Hugging Face.
///
/// Its weights are constants: load it onto a plain device, not one with autodiff.
#[derive(Debug)]
pub struct ClipModel {
    networks: Networks,
    config: ClipConfig,
    processor: ImageProcessor,
    tokenizer: ClipTokenizer,
    device: Device,
}

/// The parameters, under transformers' names. `logit_scale` is for training and for probabilities.
#[derive(Module, Debug)]
struct Networks {
    text_model: ClipTextModel,
    vision_model: ClipVisionModel,
    text_projection: Linear,
    visual_projection: Linear,
}

impl Networks {
    fn new(config: &ClipConfig, device: &Device) -> Self {
        let projection = |width| LinearConfig::new(width, config.projection_dim).with_bias(false).init(device);
        Self {
            text_model: ClipTextModel::new(&config.text, device),
            vision_model: ClipVisionModel::new(&config.vision, device),
            text_projection: projection(config.text.hidden_size),
            visual_projection: projection(config.vision.hidden_size),
        }
    }
}

impl ClipModel {
    /// The architecture.
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// What makes the input of the vision model.
    pub fn processor(&self) -> &ImageProcessor {
        &self.processor
    }

    /// The tokenizer of the texts.
    pub fn tokenizer(&self) -> &ClipTokenizer {
        &self.tokenizer
    }

    /// The vectors of pictures of any size, `get_image_features`, not normalised. Many pictures are computed in parts.
    ///
    /// # Errors
    ///
    /// A picture without pixels, and a device that fails.
    pub fn image_features(&self, images: &[RgbImage]) -> Result<Features, ClipError> {
        let mut features = Features::new(self.config.projection_dim);
        for images in images.chunks(PICTURES) {
            let pixel_values = self.processor.pixel_values(images, &self.device)?;
            let pooled = self.networks.vision_model.forward(pixel_values);
            features.extend(read(linear(&self.networks.visual_projection, pooled, None))?);
        }
        Ok(features)
    }

    /// The vectors of texts, `get_text_features`, not normalised. Many texts are computed in parts.
    ///
    /// A text beyond the 77 tokens is cut as by `CLIPTokenizer` with `truncation=True`. The official script's
    /// `clip.tokenize` refuses such a text, and mends broken Unicode and HTML entities before; it is the same for the
    /// short plain prompts of the benchmark.
    ///
    /// # Errors
    ///
    /// A text of more than [`ae_clip::MAX_PROMPT_BYTES`], a tokenizer that is not the model's, and a device that fails.
    pub fn text_features(&self, texts: &[impl AsRef<str>]) -> Result<Features, ClipError> {
        let mut features = Features::new(self.config.projection_dim);
        for texts in texts.chunks(TEXTS) {
            let tokenized = texts.iter().map(|text| Ok(self.tokenizer.tokenize(text.as_ref())?.ids()));
            let mut ids = tokenized.collect::<Result<Vec<Vec<u32>>, ClipError>>()?;
            let places = ids.iter().map(|ids| self.pooled_place(ids)).collect::<Result<Vec<_>, _>>()?;
            // A place does not see what follows: without it the result is the same.
            let needed = places.iter().max().map_or(0, |place| place + 1);
            for ids in &mut ids {
                ids.truncate(needed);
            }

            let states = self.networks.text_model.encode(&ids)?;
            let rows =
                places.iter().enumerate().map(|(row, &place)| states.clone().narrow(0, row, 1).narrow(1, place, 1));
            let pooled = Tensor::cat(rows.collect(), 0).squeeze_dim::<2>(1);
            features.extend(read(linear(&self.networks.text_projection, pooled, None))?);
        }
        Ok(features)
    }

    /// Where the text's end is, whose state stands for the text.
    ///
    /// As in transformers: configs written before its pull request 24773 have the wrong `eos_token_id` 2; with it, the
    /// end is the highest id. Where transformers takes the first place for an end that is not there, this is an error.
    fn pooled_place(&self, ids: &[u32]) -> Result<usize, ClipError> {
        let end = match self.config.eos_token_id {
            2 => ids.iter().max().copied(),
            id => Some(id),
        };
        let place = ids.iter().position(|&id| Some(id) == end);
        place.ok_or(ClipError::NoEnd { eos_token_id: self.config.eos_token_id })
    }
}
