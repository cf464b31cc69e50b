//! transformers' `BlipVisionModel` (`models/blip/modeling_blip.py`).

mod embeddings;
mod encoder;

use ae_tensor::nn::{LayerNorm, layer_norm};
use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};

use crate::VisionConfig;
use embeddings::BlipVisionEmbeddings;
use encoder::BlipEncoder;

/// The vision transformer: pictures to image embeddings.
#[derive(Module, Debug)]
pub(super) struct BlipVisionModel {
    embeddings: BlipVisionEmbeddings,
    encoder: BlipEncoder,
    post_layernorm: LayerNorm,
}

impl BlipVisionModel {
    pub(super) fn new(config: &VisionConfig, device: &Device) -> Self {
        Self {
            embeddings: BlipVisionEmbeddings::new(config, device),
            encoder: BlipEncoder::new(config, device),
            post_layernorm: LayerNorm::new(config.hidden_size, config.layer_norm_eps, device),
        }
    }

    pub(super) fn device(&self) -> Device {
        self.embeddings.device()
    }

    /// # Shapes
    /// - pixels: `[batch, 3, image_size, image_size]`
    /// - output: `[batch, positions, hidden_size]`, in single precision
    pub(super) fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        let hidden_states = self.encoder.forward(self.embeddings.forward(pixels));
        layer_norm(&self.post_layernorm, hidden_states).cast(DType::F32)
    }
}
