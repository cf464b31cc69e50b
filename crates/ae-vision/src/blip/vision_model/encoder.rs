use ae_clip::Activation;
use ae_tensor::nn::{LayerNorm, attention, layer_norm, linear};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::VisionConfig;

/// The stack of layers: transformers' `BlipEncoder`.
#[derive(Module, Debug)]
pub(super) struct BlipEncoder {
    layers: Vec<BlipEncoderLayer>,
}

/// Attention and feed-forward, each after its own layer norm: transformers' `BlipEncoderLayer`.
#[derive(Module, Debug)]
struct BlipEncoderLayer {
    layer_norm1: LayerNorm,
    self_attn: BlipAttention,
    layer_norm2: LayerNorm,
    mlp: BlipMlp,
}

/// Multi-head self-attention: transformers' `BlipAttention`.
#[derive(Module, Debug)]
struct BlipAttention {
    /// Queries, keys and values, one behind the other.
    qkv: Linear,
    projection: Linear,
    heads: usize,
}

/// The feed-forward block: transformers' `BlipMLP`.
#[derive(Module, Debug)]
struct BlipMlp {
    fc1: Linear,
    fc2: Linear,
    #[module(skip)]
    activation: Activation,
}

impl BlipEncoder {
    pub(super) fn new(config: &VisionConfig, device: &Device) -> Self {
        Self { layers: (0..config.num_hidden_layers).map(|_| BlipEncoderLayer::new(config, device)).collect() }
    }

    /// # Shapes
    /// - input, output: `[batch, positions, hidden_size]`
    pub(super) fn forward(&self, hidden_states: Tensor<3>) -> Tensor<3> {
        self.layers.iter().fold(hidden_states, |hidden_states, layer| layer.forward(hidden_states))
    }
}

impl BlipEncoderLayer {
    fn new(config: &VisionConfig, device: &Device) -> Self {
        let width = config.hidden_size;
        let norm = || LayerNorm::new(width, config.layer_norm_eps, device);
        Self {
            layer_norm1: norm(),
            self_attn: BlipAttention {
                qkv: LinearConfig::new(width, 3 * width).init(device),
                projection: LinearConfig::new(width, width).init(device),
                heads: config.num_attention_heads,
            },
            layer_norm2: norm(),
            mlp: BlipMlp {
                fc1: LinearConfig::new(width, config.intermediate_size).init(device),
                fc2: LinearConfig::new(config.intermediate_size, width).init(device),
                activation: config.hidden_act,
            },
        }
    }

    fn forward(&self, hidden_states: Tensor<3>) -> Tensor<3> {
        let normed = layer_norm(&self.layer_norm1, hidden_states.clone());
        let hidden_states = self.self_attn.forward(normed, hidden_states);
        let normed = layer_norm(&self.layer_norm2, hidden_states.clone());
        self.mlp.forward(normed, hidden_states)
    }
}

impl BlipAttention {
    fn forward(&self, hidden_states: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        let width = hidden_states.dims()[2];
        let qkv = linear(&self.qkv, hidden_states, None);
        let [query, key, value] = [0, 1, 2].map(|part| qkv.clone().narrow(2, part * width, width));
        linear(&self.projection, attention(query, key, value, self.heads), Some(residual))
    }
}

impl BlipMlp {
    fn forward(&self, hidden_states: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        let hidden_states = self.activation.apply(linear(&self.fc1, hidden_states, None));
        linear(&self.fc2, hidden_states, Some(residual))
    }
}
