use std::ops::ControlFlow;

use ae_tensor::nn::{attention, attention_probs, merge_heads, split_heads};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::{AttentionObserver, AttentionSite};

/// Multi-head attention (diffusers' `models/attention_processor.py`, `Attention`).
#[derive(Module, Debug)]
pub(crate) struct Attention {
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    /// A list of one, as in diffusers, where a dropout follows.
    to_out: Vec<Linear>,
    heads: usize,
}

impl Attention {
    /// Self-attention when `context_dim` is the width of the queries themselves.
    pub(crate) fn new(channels: usize, context_dim: usize, heads: usize, device: &Device) -> Self {
        let projection = |from| LinearConfig::new(from, channels).with_bias(false).init(device);
        Self {
            to_q: projection(channels),
            to_k: projection(context_dim),
            to_v: projection(context_dim),
            to_out: vec![LinearConfig::new(channels, channels).init(device)],
            heads,
        }
    }

    /// # Shapes
    /// - hidden_states: `[batch, patches, channels]`
    /// - context: `[batch, tokens, context_dim]`
    /// - output: `[batch, patches, channels]`, or a break where the observer ended the pass
    pub(crate) fn forward(
        &self,
        hidden_states: Tensor<3>,
        context: Tensor<3>,
        site: &AttentionSite,
        observer: &mut dyn AttentionObserver,
    ) -> ControlFlow<(), Tensor<3>> {
        let query = split_heads(self.to_q.forward(hidden_states), self.heads);
        let key = split_heads(self.to_k.forward(context.clone()), self.heads);
        // The values are formed after the observer had its say: a pass that ends here does not need them.
        let value = || split_heads(self.to_v.forward(context), self.heads);
        let output = if observer.wants(site) {
            let dtype = query.dtype();
            let probs = attention_probs(query, key);
            observer.observe(site, probs.clone())?;
            probs.cast(dtype).matmul(value())
        } else {
            attention(query, key, value())
        };
        ControlFlow::Continue(self.to_out[0].forward(merge_heads(output)))
    }
}
