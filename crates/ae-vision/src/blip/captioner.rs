use std::path::Path;

use ae_checkpoint::Checkpoint;
use ae_config::Fields;
use ae_tensor::{BurnFloat, CheckpointError, FloatType};
use burn::tensor::{Device, Tensor};
use image::RgbImage;

use super::config::BlipConfig;
use super::error::{CaptionError, CaptionerError};
use super::model::Blip;
use super::options::{CaptionOptions, OptionsError};
use super::tokenizer::BertTokenizer;
use crate::ImageProcessor;

/// Pictures in, captions out: BLIP with its tokenizer and image processor.
///
/// With [`CaptionOptions::of_the_paper`] it captions as `generate` of LAVIS' `blip_caption` does, with which the paper's
/// text-text similarity is measured (`metrics/blip_captioning_and_clip_similarity.py`).
#[derive(Debug)]
pub struct Captioner {
    model: Blip,
    tokenizer: BertTokenizer,
    image_processor: ImageProcessor,
}

impl Captioner {
    /// Loads a folder in transformers' layout, such as a copy of `Salesforce/blip-image-captioning-base`: `config.json`,
    /// weights as `model.safetensors` or `pytorch_model.bin`, in one file or with an index, `preprocessor_config.json`, and
    /// the tokenizer's files.
    ///
    /// # Errors
    ///
    /// When a file is missing, damaged or of another kind, the parts do not fit together, or the device does not compute in
    /// the type asked for. The error names the file.
    pub fn load(folder: impl AsRef<Path>, dtype: FloatType, device: &Device) -> Result<Self, CaptionerError> {
        let folder = folder.as_ref();
        if !dtype.is_supported_by(device) {
            return Err(CaptionerError::Dtype { dtype });
        }
        let path = folder.join("config.json");
        let name = path.display().to_string();
        let config =
            ae_files::read_text(&path, crate::LARGEST_CONFIG).map_err(|cause| CaptionerError::Io { path, cause })?;
        let config: BlipConfig = Fields::read(name, &config)?.try_into()?;
        let tokenizer = BertTokenizer::from_dir(folder)?;
        let (largest, vocab_size) = (tokenizer.largest_id(), config.text.vocab_size);
        if largest as usize >= vocab_size {
            return Err(CaptionerError::Vocabulary { largest, vocab_size });
        }
        let image_processor = ImageProcessor::from_folder(folder)?;
        let (found, expected) = (image_processor.output_size(), config.vision.image_size);
        if found.map(|side| side as usize) != [expected; 2] {
            return Err(CaptionerError::PictureSize { found, expected });
        }
        let checkpoint = Checkpoint::open_folder(folder, false).map_err(CheckpointError::from)?;
        let model = Blip::load(&config, checkpoint, dtype, device)?;
        Ok(Self { model, tokenizer, image_processor })
    }

    /// The model.
    pub fn model(&self) -> &Blip {
        &self.model
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &BertTokenizer {
        &self.tokenizer
    }

    /// The image processor.
    pub fn image_processor(&self) -> &ImageProcessor {
        &self.image_processor
    }

    /// A caption of each picture, of any size, with [`CaptionOptions::default`].
    ///
    /// # Errors
    ///
    /// Those of [`Self::captions_with`].
    pub fn captions(&self, pictures: &[RgbImage]) -> Result<Vec<String>, CaptionError> {
        self.captions_with(pictures, &CaptionOptions::default())
    }

    /// A caption of each picture, of any size; of no pictures none.
    ///
    /// # Errors
    ///
    /// Options that ask for the impossible, a picture without pixels, a device that failed, and logits that are no numbers.
    pub fn captions_with(&self, pictures: &[RgbImage], options: &CaptionOptions) -> Result<Vec<String>, CaptionError> {
        if options.batch_size == 0 {
            return Err(OptionsError::BatchSize.into());
        }
        options.generation.check(&self.prompt_ids(&options.prompt)?, &self.model.config().text)?;
        let mut captions = Vec::with_capacity(pictures.len());
        for batch in pictures.chunks(options.batch_size) {
            let pixels = self.image_processor.pixel_values(batch, &self.model.device())?;
            captions.extend(self.captions_of_pixels(pixels, options)?);
        }
        Ok(captions)
    }

    /// Captions of pictures that the image processor has been through, all together.
    ///
    /// # Shapes
    /// - pixels: `[batch, 3, image_size, image_size]`
    ///
    /// # Errors
    ///
    /// Those of [`Self::captions_with`].
    ///
    /// # Panics
    ///
    /// Panics when the pictures are of another size.
    pub fn captions_of_pixels(&self, pixels: Tensor<4>, options: &CaptionOptions) -> Result<Vec<String>, CaptionError> {
        let prompt = self.prompt_ids(&options.prompt)?;
        let image_embeds = self.model.image_embeds(pixels);
        let captions = self.model.generate(image_embeds, &prompt, &options.generation)?;
        captions.iter().map(|ids| self.text(ids, &options.prompt)).collect()
    }

    /// The ids of a prompt as `BlipForConditionalGeneration.generate` prepares them: with the model's begin token in place of
    /// the tokenizer's, and without the end.
    ///
    /// # Errors
    ///
    /// When the prompt cannot be tokenized.
    pub fn prompt_ids(&self, prompt: &str) -> Result<Vec<u32>, CaptionError> {
        let mut ids = self.tokenizer.encode(prompt)?;
        ids.pop();
        ids[0] = self.model.config().text.bos_token_id;
        Ok(ids)
    }

    /// The text of a caption behind its prompt. Like LAVIS it cuts as many characters as the prompt has, whatever they are.
    fn text(&self, ids: &[u32], prompt: &str) -> Result<String, CaptionError> {
        let text = self.tokenizer.decode(ids)?;
        Ok(text.chars().skip(prompt.chars().count()).collect())
    }
}
