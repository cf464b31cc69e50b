mod attention;
mod mlp;

use ae_tensor::nn::{LayerNorm, layer_norm as norm};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::config::{Activation, ClipTextModelConfig};
use attention::ClipAttention;
use mlp::ClipMlp;

/// The architecture of a [`ClipEncoder`], which CLIP's text model and its vision model share.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipEncoderConfig {
    /// The width of the hidden states.
    pub hidden_size: usize,
    /// The width inside the feed-forward blocks.
    pub intermediate_size: usize,
    /// The number of layers.
    pub num_hidden_layers: usize,
    /// The number of attention heads, a divisor of `hidden_size`.
    pub num_attention_heads: usize,
    /// The activation of the feed-forward blocks.
    pub hidden_act: Activation,
    /// What layer normalisation adds to the variance.
    pub layer_norm_eps: f64,
    /// Whether a place sees only those before it, as in the text model.
    pub is_causal: bool,
}

impl From<&ClipTextModelConfig> for ClipEncoderConfig {
    fn from(config: &ClipTextModelConfig) -> Self {
        Self {
            hidden_size: config.hidden_size,
            intermediate_size: config.intermediate_size,
            num_hidden_layers: config.num_hidden_layers,
            num_attention_heads: config.num_attention_heads,
            hidden_act: config.hidden_act,
            layer_norm_eps: config.layer_norm_eps,
            is_causal: true,
        }
    }
}

/// The stack of layers of either half of CLIP: transformers' `CLIPEncoder`.
#[derive(Module, Debug)]
pub struct ClipEncoder {
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
    /// Creates the layers with random weights, drawn when they are first used.
    pub fn new(config: &ClipEncoderConfig, device: &Device) -> Self {
        let layer_norm = || LayerNorm::new(config.hidden_size, config.layer_norm_eps, device);
        let layers = (0..config.num_hidden_layers).map(|_| ClipEncoderLayer {
            layer_norm1: layer_norm(),
            self_attn: ClipAttention::new(config, device),
            layer_norm2: layer_norm(),
            mlp: ClipMlp::new(config, device),
        });
        Self { layers: layers.collect() }
    }

    /// The number of layers.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// The state after the first `layers`.
    ///
    /// # Shapes
    /// - input, output: `[batch, sequence, hidden_size]`
    ///
    /// # Panics
    ///
    /// When there are not so many layers.
    pub fn forward(&self, hidden_states: Tensor<3>, layers: usize) -> Tensor<3> {
        self.layers[..layers].iter().fold(hidden_states, |hidden_states, layer| layer.forward(hidden_states))
    }
}

impl ClipEncoderLayer {
    fn forward(&self, hidden_states: Tensor<3>) -> Tensor<3> {
        let hidden_states = self.self_attn.forward(norm(&self.layer_norm1, hidden_states.clone()), hidden_states);
        self.mlp.forward(norm(&self.layer_norm2, hidden_states.clone()), hidden_states)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    fn config() -> ClipEncoderConfig {
        ClipEncoderConfig {
            hidden_size: 8,
            intermediate_size: 12,
            num_hidden_layers: 3,
            num_attention_heads: 2,
            hidden_act: Activation::Gelu,
            layer_norm_eps: 1e-5,
            is_causal: true,
        }
    }

    #[test]
    fn the_first_layers_are_a_shallower_encoder() {
        let device = Device::flex();
        let encoder = ClipEncoder::new(&config(), &device);
        let shallower = ClipEncoder { layers: encoder.layers[..2].to_vec() };
        let states = Tensor::random([1, 5, 8], Distribution::Normal(0.0, 1.0), &device);
        let expected = shallower.forward(states.clone(), shallower.depth()).into_data();
        encoder.forward(states.clone(), 2).into_data().assert_eq(&expected, true);
        assert_ne!(encoder.forward(states, 3).into_data(), expected);
    }

    #[test]
    fn only_a_causal_encoder_is_blind_to_what_follows() {
        let device = Device::flex();
        let states = Tensor::random([1, 5, 8], Distribution::Normal(0.0, 1.0), &device);
        let changed = Tensor::cat(vec![states.clone().narrow(1, 0, 4), states.clone().narrow(1, 0, 1)], 1);
        for is_causal in [true, false] {
            let encoder = ClipEncoder::new(&ClipEncoderConfig { is_causal, ..config() }, &device);
            let first = |states: &Tensor<3>| encoder.forward(states.clone(), 3).narrow(1, 0, 4).into_data();
            assert_eq!(first(&states) == first(&changed), is_causal);
        }
    }
}
