use std::path::Path;

use ae_checkpoint::Checkpoint;
use ae_clip::ClipTokenizer;
use ae_config::Fields;
use ae_tensor::{BurnFloat, FloatType, KeyRules, load_weights};
use burn::tensor::Device;

use super::{ClipConfig, ClipError, ClipModel, Networks};
use crate::image_processor::ImageProcessor;

/// The position ids are a constant buffer, which old checkpoints hold; `logit_scale` makes probabilities of scores.
const KEY_RULES: KeyRules = KeyRules { prefix: "", renames: &[], ignored: &["embeddings.position_ids", "logit_scale"] };

impl ClipModel {
    /// Loads a model onto `device` from a folder as published on Hugging Face, such as `openai/clip-vit-base-patch16`
    /// with which the paper's scores are computed: `config.json`, `preprocessor_config.json`, the tokenizer's files,
    /// and the weights in `model.safetensors` or `pytorch_model.bin`.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, the files do not belong together, or the device does not compute in the type
    /// asked for. The error names the file.
    pub fn load(folder: impl AsRef<Path>, dtype: FloatType, device: &Device) -> Result<Self, ClipError> {
        let folder = folder.as_ref();
        if !dtype.is_supported_by(device) {
            return Err(ClipError::Dtype { dtype });
        }
        let path = folder.join("config.json");
        let json = ae_files::read_text(&path, crate::LARGEST_CONFIG).map_err(|cause| ClipError::Io {
            path: path.clone(),
            cause,
            holds: "config.json, preprocessor_config.json, tokenizer and weights",
        })?;
        let config: ClipConfig = Fields::read(path.display().to_string(), &json)?.try_into()?;
        let processor = ImageProcessor::from_folder(folder)?;
        let (made, model) = (processor.output_size(), config.vision.image_size);
        if made.iter().any(|&side| side as usize != model) {
            return Err(ClipError::ImageSize { processor: made, model });
        }
        let tokenizer = ClipTokenizer::from_dir(folder)?;
        let checkpoint = Checkpoint::open_folder(folder, false)?;
        let mut networks = Networks::new(&config, device);
        load_weights(&mut networks, &checkpoint, &KEY_RULES, dtype)?;
        Ok(Self { networks, config, processor, tokenizer, device: device.clone() })
    }
}
