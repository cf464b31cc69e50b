use ae_tensor::nn::{Activation, attention, group_norm, linear};
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
    /// - input and output: `[batch, rows, columns, channels]`
    pub(crate) fn forward(&self, hidden_states: Tensor<4>) -> Tensor<4> {
        let shape = hidden_states.dims();
        let [batch, rows, columns, channels] = shape;
        let pixels = |map: Tensor<4>| map.reshape([batch, rows * columns, channels]);
        let normed = pixels(group_norm(&self.group_norm, hidden_states.clone(), Activation::None));
        let [query, key, value] =
            [&self.to_q, &self.to_k, &self.to_v].map(|projection| linear(projection, normed.clone(), None));
        let attended = attention(query, key, value, 1);
        linear(&self.to_out[0], attended, Some(pixels(hidden_states))).reshape(shape)
    }
}
