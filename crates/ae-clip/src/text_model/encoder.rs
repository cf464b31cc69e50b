use burn::module::Module;
use burn::nn::LayerNorm;
use burn::tensor::{Device, Tensor};

use super::attention::ClipAttention;
use super::layer_norm;
use super::mlp::ClipMlp;
use crate::config::ClipTextModelConfig;

/// The stack of layers: transformers' `CLIPEncoder`.
#[derive(Module, Debug)]
pub(super) struct ClipEncoder {
    layers: Vec<ClipEncoderLayer>,
}

/// Attention and feed-forward, each after its own layer norm: transformers' `CLIPEncoderLayer`.
#[derive(Module, Debug)]
struct ClipEncoderLayer {
    layer_norm1: LayerNorm,
    self_attn: ClipAttention,
    layer_norm2: LayerNorm,
    mlp: ClipMlp,
}

impl ClipEncoder {
    pub(super) fn new(config: &ClipTextModelConfig, device: &Device) -> Self {
        let layers = (0..config.num_hidden_layers).map(|_| ClipEncoderLayer {
            layer_norm1: layer_norm(config, device),
            self_attn: ClipAttention::new(config, device),
            layer_norm2: layer_norm(config, device),
            mlp: ClipMlp::new(config, device),
        });
        Self { layers: layers.collect() }
    }

    /// # Shapes
    /// - input, output: `[batch, sequence, hidden_size]`
    pub(super) fn forward(&self, hidden_states: Tensor<3>) -> Tensor<3> {
        self.layers.iter().fold(hidden_states, |hidden_states, layer| layer.forward(hidden_states))
    }
}

impl ClipEncoderLayer {
    fn forward(&self, hidden_states: Tensor<3>) -> Tensor<3> {
        let attended = self.self_attn.forward(self.layer_norm1.forward(hidden_states.clone()));
        let hidden_states = hidden_states + attended;
        let transformed = self.mlp.forward(self.layer_norm2.forward(hidden_states.clone()));
        hidden_states + transformed
    }
}
