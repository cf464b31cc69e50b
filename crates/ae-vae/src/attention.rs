use ae_tensor::nn::{attention, group_norm, merge_heads, split_heads};
use burn::module::Module;
use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::config::NORM_EPS;

/// Self-attention over the pixels of the coarsest level, with one head
/// (diffusers' `models/attention_processor.py`, `Attention` with `residual_connection`).
#[derive(Module, Debug)]
pub(crate) struct Attention {
    group_norm: GroupNorm,
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Vec<Linear>,
}

impl Attention {
    pub(crate) fn new(channels: usize, groups: usize, device: &Device) -> Self {
        let projection = || LinearConfig::new(channels, channels).init(device);
        Self {
            group_norm: GroupNormConfig::new(groups, channels).with_epsilon(NORM_EPS).init(device),
            to_q: projection(),
            to_k: projection(),
            to_v: projection(),
            to_out: vec![projection()],
        }
    }

    /// # Shapes
    /// - input and output: `[batch, channels, rows, cols]`
    pub(crate) fn forward(&self, hidden_states: Tensor<4>) -> Tensor<4> {
        let [batch, channels, rows, cols] = hidden_states.dims();
        let residual = hidden_states.clone();
        let pixels: Tensor<3> =
            group_norm(&self.group_norm, hidden_states).reshape([batch, channels, rows * cols]).swap_dims(1, 2);
        let query = split_heads(self.to_q.forward(pixels.clone()), 1);
        let key = split_heads(self.to_k.forward(pixels.clone()), 1);
        let value = split_heads(self.to_v.forward(pixels), 1);
        let attended = attention(query, key, value);
        let output = self.to_out[0].forward(merge_heads(attended));
        output.swap_dims(1, 2).reshape([batch, channels, rows, cols]) + residual
    }
}
