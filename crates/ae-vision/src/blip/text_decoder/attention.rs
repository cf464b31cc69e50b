use ae_tensor::nn::{self, LayerNorm, layer_norm, linear};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::cache::KeysAndValues;
use crate::blip::config::BlipTextConfig;

/// Attention to tokens or to a picture, with projection, residual and layer norm: transformers' `BlipTextAttention`.
#[derive(Module, Debug)]
pub(super) struct BlipTextAttention {
    /// `self` in transformers.
    attend: BlipTextSelfAttention,
    output: BlipTextSelfOutput,
}

/// transformers' `BlipTextSelfAttention`.
#[derive(Module, Debug)]
struct BlipTextSelfAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    heads: usize,
}

/// Projection, residual and layer norm: transformers' `BlipTextSelfOutput`, and `BlipTextOutput`.
#[derive(Module, Debug)]
pub(super) struct BlipTextSelfOutput {
    dense: Linear,
    /// `LayerNorm` in transformers.
    layer_norm: LayerNorm,
}

impl BlipTextAttention {
    /// Attention to states of the width `attended`.
    pub(super) fn new(config: &BlipTextConfig, attended: usize, device: &Device) -> Self {
        let width = config.hidden_size;
        let projection = |input| LinearConfig::new(input, width).init(device);
        let attend = BlipTextSelfAttention {
            query: projection(width),
            key: projection(attended),
            value: projection(attended),
            heads: config.num_attention_heads,
        };
        Self { attend, output: BlipTextSelfOutput::new(config, width, device) }
    }

    /// Keys and values of states that can be attended to.
    ///
    /// # Shapes
    /// - states: `[batch, sequence, width]`
    pub(super) fn keys_and_values(&self, states: Tensor<3>) -> KeysAndValues {
        let keys = linear(&self.attend.key, states.clone(), None);
        KeysAndValues { keys, values: linear(&self.attend.value, states, None) }
    }

    /// Attention to the tokens so far, the last of which are `hidden_states`: one of them, or all.
    ///
    /// # Shapes
    /// - hidden_states, output: `[rows, sequence, hidden_size]`
    pub(super) fn to_tokens(&self, hidden_states: Tensor<3>, tokens: &KeysAndValues) -> Tensor<3> {
        let query = linear(&self.attend.query, hidden_states.clone(), None);
        let KeysAndValues { keys, values } = tokens.clone();
        let heads = self.attend.heads;
        let context = match query.dims()[1] {
            1 => nn::attention(query, keys, values, heads),
            _ => nn::self_attention(query, keys, values, heads, true),
        };
        self.output.forward(context, hidden_states)
    }

    /// Attention to pictures. The rows of one picture stand beside each other, as many for each.
    ///
    /// # Shapes
    /// - hidden_states, output: `[rows, sequence, hidden_size]`
    pub(super) fn to_pictures(&self, hidden_states: Tensor<3>, pictures: &KeysAndValues) -> Tensor<3> {
        let query = linear(&self.attend.query, hidden_states.clone(), None);
        let shape @ [rows, sequence, width] = query.dims();
        let KeysAndValues { keys, values } = pictures.clone();
        let count = keys.dims()[0];
        // No token hides from another here: all rows of a picture are queries of one attention, whose keys need no copy.
        let query = query.reshape([count, rows / count * sequence, width]);
        let context = nn::attention(query, keys, values, self.attend.heads).reshape(shape);
        self.output.forward(context, hidden_states)
    }
}

impl BlipTextSelfOutput {
    /// From states of the width `input`.
    pub(super) fn new(config: &BlipTextConfig, input: usize, device: &Device) -> Self {
        Self {
            dense: LinearConfig::new(input, config.hidden_size).init(device),
            layer_norm: LayerNorm::new(config.hidden_size, config.layer_norm_eps, device),
        }
    }

    /// # Shapes
    /// - hidden_states: `[rows, sequence, input]`
    /// - residual, output: `[rows, sequence, hidden_size]`
    pub(super) fn forward(&self, hidden_states: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        layer_norm(&self.layer_norm, linear(&self.dense, hidden_states, Some(residual)))
    }
}
