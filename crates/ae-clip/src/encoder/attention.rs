use ae_tensor::nn::{linear, self_attention};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::ClipEncoderConfig;

/// Multi-head self-attention, causal or not: transformers' `CLIPAttention`.
#[derive(Module, Debug)]
pub(super) struct ClipAttention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    heads: usize,
    #[module(skip)]
    is_causal: bool,
}

impl ClipAttention {
    pub(super) fn new(config: &ClipEncoderConfig, device: &Device) -> Self {
        let projection = || LinearConfig::new(config.hidden_size, config.hidden_size).init(device);
        Self {
            q_proj: projection(),
            k_proj: projection(),
            v_proj: projection(),
            out_proj: projection(),
            heads: config.num_attention_heads,
            is_causal: config.is_causal,
        }
    }

    /// # Shapes
    /// - input, residual, output: `[batch, sequence, hidden_size]`
    pub(super) fn forward(&self, hidden_states: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        let query = linear(&self.q_proj, hidden_states.clone(), None);
        let key = linear(&self.k_proj, hidden_states.clone(), None);
        let value = linear(&self.v_proj, hidden_states, None);
        let attended = self_attention(query, key, value, self.heads, self.is_causal);
        linear(&self.out_proj, attended, Some(residual))
    }
}
