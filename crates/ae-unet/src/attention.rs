use std::ops::ControlFlow;

use ae_tensor::nn::{attention, attention_probs, attention_values, linear, shared};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::{AttentionProcessor, AttentionSite};

/// Multi-head attention (diffusers' `models/attention_processor.py`, `Attention`).
#[derive(Module, Debug)]
pub(crate) struct Attention {
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    /// A list of one, as in diffusers, where a dropout follows.
    to_out: Vec<Linear>,
    pub(crate) heads: usize,
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

    /// What the queries of every pass attend to: keys of one context, values of another or the same.
    ///
    /// # Shapes
    /// - key_context, value_context: `[batch, tokens, context_dim]`
    pub(crate) fn attended(&self, key_context: Tensor<3>, value_context: Tensor<3>) -> Attended {
        Attended { key: linear(&self.to_k, key_context, None), value: linear(&self.to_v, value_context, None) }
    }

    /// Attention to the patches themselves, before the [output](Self::output).
    ///
    /// # Shapes
    /// - normed and output: `[batch, patches, channels]`, or a break where the processor ended the pass
    pub(crate) fn to_itself<B>(
        &self,
        normed: Tensor<3>,
        site: &AttentionSite,
        processor: &mut dyn AttentionProcessor<Break = B>,
    ) -> ControlFlow<B, Tensor<3>> {
        let [for_query, for_key, for_value] = shared(normed);
        let key = linear(&self.to_k, for_key, None);
        // The values are formed after the processor returns: a pass that ends here does not need them.
        let value = || linear(&self.to_v, for_value.clone(), None);
        self.attend(for_query, &key, &value, site, processor)
    }

    /// Queries, keys and values of an attention to the patches themselves.
    ///
    /// # Shapes
    /// - normed and outputs: `[batch, patches, channels]`
    pub(crate) fn projections(&self, normed: Tensor<3>) -> [Tensor<3>; 3] {
        let [for_query, for_key, for_value] = shared(normed);
        [linear(&self.to_q, for_query, None), linear(&self.to_k, for_key, None), linear(&self.to_v, for_value, None)]
    }

    /// Attention to keys, and to values that are formed after the processor returned; before the [output](Self::output).
    ///
    /// # Shapes
    /// - normed and output: `[batch, patches, channels]`, or a break where the processor ended the pass
    pub(crate) fn attend<B>(
        &self,
        normed: Tensor<3>,
        key: &Tensor<3>,
        value: &dyn Fn() -> Tensor<3>,
        site: &AttentionSite,
        processor: &mut dyn AttentionProcessor<Break = B>,
    ) -> ControlFlow<B, Tensor<3>> {
        let query = linear(&self.to_q, normed, None);
        ControlFlow::Continue(if processor.wants(site) {
            let probs = attention_probs(query, key.clone(), self.heads);
            let shape = probs.dims();
            let probs = processor.process(site, probs)?;
            assert_eq!(probs.dims(), shape, "the processor must keep the shape of the probabilities at {site}");
            attention_values(probs, value())
        } else {
            attention(query, key.clone(), value(), self.heads)
        })
    }

    /// The projection of what was seen, plus a residual.
    ///
    /// # Shapes
    /// - seen, residual and output: `[batch, patches, channels]`
    pub(crate) fn output(&self, seen: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        linear(&self.to_out[0], seen, Some(residual))
    }
}

/// Keys and values, `[batch, tokens, channels]` each.
#[derive(Clone, Debug)]
pub(crate) struct Attended {
    pub(crate) key: Tensor<3>,
    pub(crate) value: Tensor<3>,
}
