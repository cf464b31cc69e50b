use ae_tensor::{Checkpoint, CheckpointError, FloatType, KeyRules, load_weights};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::config::BlipConfig;
use super::text_decoder::BlipTextLmHeadModel;
use super::vision_model::BlipVisionModel;

/// Names that are no Rust fields, and what files of transformers 4 hold beside the weights. The bias of the predictions is
/// the decoder's under its other name.
const KEY_RULES: KeyRules = KeyRules {
    prefix: "",
    renames: &[("attention.self.", "attention.attend."), ("LayerNorm.", "layer_norm.")],
    ignored: &["embeddings.position_ids", "cls.predictions.bias"],
};
const DECODER_WEIGHT: &str = "text_decoder.cls.predictions.decoder.weight";
const WORD_EMBEDDINGS: &str = "text_decoder.bert.embeddings.word_embeddings.weight";
const DECODER_BIAS: &str = "text_decoder.cls.predictions.decoder.bias";
const PREDICTIONS_BIAS: &str = "text_decoder.cls.predictions.bias";

/// BLIP as a captioner (Li et al. 2022): transformers' `BlipForConditionalGeneration` (`models/blip/modeling_blip.py`).
///
/// Its weights are constants: create it on a plain device, not on one with autodiff. What it returns is single precision
/// whatever the type of the weights. See [`Captioner`](super::Captioner) for pictures in and texts out.
#[derive(Debug)]
pub struct Blip {
    pub(super) networks: Networks,
    pub(super) config: BlipConfig,
}

/// The two halves under transformers' names.
#[derive(Module, Debug)]
pub(super) struct Networks {
    pub(super) vision_model: BlipVisionModel,
    pub(super) text_decoder: BlipTextLmHeadModel,
}

impl Blip {
    /// Creates the model with random weights, drawn when they are first used.
    pub fn new(config: &BlipConfig, device: &Device) -> Self {
        let networks = Networks {
            vision_model: BlipVisionModel::new(&config.vision, device),
            text_decoder: BlipTextLmHeadModel::new(&config.text, config.vision.hidden_size, device),
        };
        Self { networks, config: config.clone() }
    }

    /// Creates the model with the weights of a checkpoint, of transformers 4 or 5. Output weights of its own are used, and
    /// where it has none and the config says so, the word embeddings.
    ///
    /// # Errors
    ///
    /// Those of [`load_weights`]: every missing, unexpected or misshapen tensor is named.
    pub fn load(
        config: &BlipConfig,
        checkpoint: Checkpoint,
        dtype: FloatType,
        device: &Device,
    ) -> Result<Self, CheckpointError> {
        let mut model = Self::new(config, device);
        let mut checkpoint = checkpoint.with_tied(DECODER_BIAS, PREDICTIONS_BIAS);
        if config.tie_word_embeddings {
            checkpoint = checkpoint.with_tied(DECODER_WEIGHT, WORD_EMBEDDINGS);
        }
        load_weights(&mut model.networks, &checkpoint, &KEY_RULES, dtype)?;
        Ok(model)
    }

    /// The architecture.
    pub fn config(&self) -> &BlipConfig {
        &self.config
    }

    /// The device of the weights.
    pub fn device(&self) -> Device {
        self.networks.vision_model.device()
    }

    /// The image embeddings: `vision_model(pixel_values).last_hidden_state`.
    ///
    /// # Shapes
    /// - pixels: `[batch, 3, image_size, image_size]`, normalised as BLIP's image processor does
    /// - output: `[batch, positions, hidden_size]`
    ///
    /// # Panics
    ///
    /// Panics when the pictures are of another size.
    pub fn image_embeds(&self, pixels: Tensor<4>) -> Tensor<3> {
        let side = self.config.vision.image_size;
        let [_, channels, rows, columns] = pixels.dims();
        assert_eq!([channels, rows, columns], [3, side, side], "pictures of the model's size");
        self.networks.vision_model.forward(pixels)
    }

    /// The logits of what follows each token of `ids`, one row for each picture: `text_decoder(input_ids,
    /// encoder_hidden_states=image_embeds).logits`.
    ///
    /// # Shapes
    /// - image_embeds: `[batch, positions, hidden_size]`
    /// - ids: `batch` of one length
    /// - output: `[batch, sequence, vocab_size]`
    ///
    /// # Panics
    ///
    /// Panics when there are not as many rows as pictures, when rows are empty or of several lengths, and when they are
    /// longer than the model's positions or have ids beyond its vocabulary.
    pub fn logits(&self, image_embeds: Tensor<3>, ids: &[impl AsRef<[u32]>]) -> Tensor<3> {
        assert_eq!(image_embeds.dims()[0], ids.len(), "a row for each picture");
        let decoder = &self.networks.text_decoder;
        decoder.forward(ids, &mut decoder.cache(image_embeds))
    }
}
