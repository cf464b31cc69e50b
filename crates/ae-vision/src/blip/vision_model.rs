//! transformers' `BlipVisionModel` (`models/blip/modeling_blip.py`).

mod embeddings;
mod encoder;

use ae_tensor::nn::layer_norm_with;
use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::{DType, Device, Tensor};

use super::config::BlipVisionConfig;
use embeddings::BlipVisionEmbeddings;
use encoder::BlipEncoder;

/// The vision transformer: pictures to image embeddings.
#[derive(Module, Debug)]
pub(super) struct BlipVisionModel {
    embeddings: BlipVisionEmbeddings,
    encoder: BlipEncoder,
    post_layernorm: LayerNorm,
    epsilon: f64,
}

impl BlipVisionModel {
    pub(super) fn new(config: &BlipVisionConfig, device: &Device) -> Self {
        Self {
            embeddings: BlipVisionEmbeddings::new(config, device),
            encoder: BlipEncoder::new(config, device),
            post_layernorm: LayerNormConfig::new(config.hidden_size).with_epsilon(config.layer_norm_eps).init(device),
            epsilon: config.layer_norm_eps,
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
        layer_norm_with(&self.post_layernorm, self.epsilon, hidden_states).cast(DType::F32)
    }
}
