use ae_tensor::nn::layer_norm as norm;
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

    /// The number of layers.
    pub(super) fn depth(&self) -> usize {
        self.layers.len()
    }

    /// The state after the first `layers`.
    ///
    /// # Shapes
    /// - input, output: `[batch, sequence, hidden_size]`
    pub(super) fn forward(&self, hidden_states: Tensor<3>, layers: usize) -> Tensor<3> {
        self.layers[..layers].iter().fold(hidden_states, |hidden_states, layer| layer.forward(hidden_states))
    }
}

impl ClipEncoderLayer {
    fn forward(&self, hidden_states: Tensor<3>) -> Tensor<3> {
        let attended = self.self_attn.forward(norm(&self.layer_norm1, hidden_states.clone()));
        let hidden_states = hidden_states + attended;
        let transformed = self.mlp.forward(norm(&self.layer_norm2, hidden_states.clone()));
        hidden_states + transformed
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;
    use crate::config::Activation;

    #[test]
    fn the_first_layers_are_a_shallower_encoder() {
        let config = ClipTextModelConfig {
            vocab_size: 11,
            hidden_size: 8,
            intermediate_size: 12,
            num_hidden_layers: 3,
            num_attention_heads: 2,
            max_position_embeddings: 5,
            hidden_act: Activation::Gelu,
            layer_norm_eps: 1e-5,
        };
        let device = Device::flex();
        let encoder = ClipEncoder::new(&config, &device);
        let shallower = ClipEncoder { layers: encoder.layers[..2].to_vec() };
        let states = Tensor::random([1, 5, 8], Distribution::Normal(0.0, 1.0), &device);
        let expected = shallower.forward(states.clone(), shallower.depth()).into_data();
        encoder.forward(states.clone(), 2).into_data().assert_eq(&expected, true);
        assert_ne!(encoder.forward(states, 3).into_data(), expected);
    }
}
