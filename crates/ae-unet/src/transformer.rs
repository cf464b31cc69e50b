use std::convert::Infallible;
use std::ops::ControlFlow;

use ae_tensor::nn::{
    Activation, Conv2d, LayerNorm, group_norm, layer_norm, linear, recomputed, recomputed_attention, repeated, shared,
};
use burn::module::Module;
use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::attention::{Attended, Attention};
use crate::feed_forward::FeedForward;
use crate::pass::Pass;
use crate::{AttentionKind, AttentionProcessor, AttentionSite, Place};

/// Epsilon of the group normalisation in front of a transformer, fixed in diffusers.
const NORM_EPS: f64 = 1e-6;
/// Epsilon of the layer normalisations in its blocks, fixed in diffusers.
const LAYER_NORM_EPS: f64 = 1e-5;

/// The sizes of a [`Transformer2DModel`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct TransformerConfig {
    pub(crate) heads: usize,
    pub(crate) cross_attention_dim: usize,
    pub(crate) norm_num_groups: usize,
    pub(crate) use_linear_projection: bool,
    pub(crate) layers: usize,
}

/// A transformer over the patches of a feature map
/// (diffusers' `models/transformers/transformer_2d.py`).
#[derive(Module, Debug)]
pub(crate) struct Transformer2DModel {
    norm: GroupNorm,
    proj_in: Projection,
    transformer_blocks: Vec<BasicTransformerBlock>,
    proj_out: Projection,
}

/// SD 1 projects with a 1x1 convolution before patches are laid out, SD 2 with a linear layer after.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a handful of values, one per transformer")]
enum Projection {
    Conv(Conv2d),
    Linear(Linear),
}

impl Projection {
    fn new(channels: usize, linear: bool, device: &Device) -> Self {
        if linear {
            Self::Linear(LinearConfig::new(channels, channels).init(device))
        } else {
            Self::Conv(Conv2d::new_1x1(channels, channels, device))
        }
    }
}

/// Where in the U-Net a transformer stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TransformerSite {
    pub(crate) place: Place,
    pub(crate) block: usize,
    pub(crate) layer: usize,
}

impl Transformer2DModel {
    pub(crate) fn new(channels: usize, config: &TransformerConfig, device: &Device) -> Self {
        let projection = || Projection::new(channels, config.use_linear_projection, device);
        Self {
            norm: GroupNormConfig::new(config.norm_num_groups, channels).with_epsilon(NORM_EPS).init(device),
            proj_in: projection(),
            transformer_blocks: (0..config.layers)
                .map(|_| BasicTransformerBlock::new(channels, config, device))
                .collect(),
            proj_out: projection(),
        }
    }

    /// Keys of one text and values of another, or the same, for every block.
    ///
    /// # Shapes
    /// - key_context, value_context: `[batch, tokens, cross_attention_dim]`
    pub(crate) fn attended(&self, key_context: &Tensor<3>, value_context: &Tensor<3>) -> Vec<Attended> {
        let attended = |attention: &Attention| attention.attended(key_context.clone(), value_context.clone());
        self.transformer_blocks.iter().map(|block| attended(&block.attn2)).collect()
    }

    /// # Shapes
    /// - hidden_states: `[pictures, rows, columns, channels]`
    /// - output: `[batch of the text, rows, columns, channels]`
    pub(crate) fn forward<B>(
        &self,
        hidden_states: Tensor<4>,
        site: TransformerSite,
        pass: &mut Pass<'_, B>,
    ) -> ControlFlow<B, Tensor<4>> {
        let text = pass.text.next(self.transformer_blocks.len());
        let [pictures, rows, columns, channels] = hidden_states.dims();
        let batch = text[0].key.dims()[0];
        let to_patches = |map: Tensor<4>| map.reshape([pictures, rows * columns, channels]);
        let to_map = |patches: Tensor<3>| patches.reshape([batch, rows, columns, channels]);

        let [residual, hidden_states] = shared(hidden_states);
        let residual = repeated(residual, batch);
        let normed = group_norm(&self.norm, hidden_states, Activation::None);
        let mut patches = match &self.proj_in {
            Projection::Conv(conv) => to_patches(conv.forward(normed)),
            Projection::Linear(layer) => linear(layer, to_patches(normed), None),
        };
        for (depth, (block, text)) in self.transformer_blocks.iter().zip(text).enumerate() {
            let (heads, resolution) = (block.attn1.heads, [rows, columns]);
            let TransformerSite { place, block: at, layer } = site;
            let site = |kind| AttentionSite { place, block: at, layer, depth, kind, heads, resolution };
            patches = block.forward(patches, text, site, pass)?;
        }
        ControlFlow::Continue(match &self.proj_out {
            Projection::Conv(conv) => conv.forward_plus(to_map(patches), None, Some(residual)),
            Projection::Linear(layer) => {
                let residual = residual.reshape([batch, rows * columns, channels]);
                to_map(linear(layer, patches, Some(residual)))
            }
        })
    }
}

/// Self-attention, cross-attention and feed-forward, each behind a layer normalisation
/// (diffusers' `models/attention.py`).
#[derive(Module, Debug)]
struct BasicTransformerBlock {
    norm1: LayerNorm,
    attn1: Attention,
    norm2: LayerNorm,
    attn2: Attention,
    norm3: LayerNorm,
    ff: FeedForward,
}

impl BasicTransformerBlock {
    fn new(channels: usize, config: &TransformerConfig, device: &Device) -> Self {
        let norm = || LayerNorm::new(channels, LAYER_NORM_EPS, device);
        Self {
            norm1: norm(),
            attn1: Attention::new(channels, channels, config.heads, device),
            norm2: norm(),
            attn2: Attention::new(channels, config.cross_attention_dim, config.heads, device),
            norm3: norm(),
            ff: FeedForward::new(channels, device),
        }
    }

    /// Pictures are the same for all texts until their texts come in.
    fn forward<B>(
        &self,
        hidden_states: Tensor<3>,
        text: &Attended,
        site: impl Fn(AttentionKind) -> AttentionSite,
        pass: &mut Pass<'_, B>,
    ) -> ControlFlow<B, Tensor<3>> {
        let [residual, hidden_states] = shared(hidden_states);
        let seen = self.seen_in(hidden_states, text, site(AttentionKind::SelfAttention), pass)?;
        let hidden_states = self.attn1.output(seen, residual);

        let [residual, hidden_states] = shared(repeated(hidden_states, text.key.dims()[0]));
        let seen = self.seen_in(hidden_states, text, site(AttentionKind::Cross), pass)?;
        let hidden_states = self.attn2.output(seen, residual);

        let [residual, hidden_states] = shared(hidden_states);
        let hidden = if pass.recomputes {
            let block = self.clone();
            recomputed(hidden_states, move |states| block.hidden(states))
        } else {
            self.hidden(hidden_states)
        };
        ControlFlow::Continue(self.ff.output(hidden, residual))
    }

    /// What an attention sees in a pass whose way back may compute it again.
    fn seen_in<B>(
        &self,
        hidden_states: Tensor<3>,
        text: &Attended,
        site: AttentionSite,
        pass: &mut Pass<'_, B>,
    ) -> ControlFlow<B, Tensor<3>> {
        if !pass.recomputes || pass.processor.wants(&site) {
            return self.seen(hidden_states, text, &site, pass.processor);
        }
        let (block, text) = (self.clone(), text.clone());
        ControlFlow::Continue(match site.kind {
            AttentionKind::SelfAttention => {
                let project = move |states| block.attn1.projections(layer_norm(&block.norm1, states));
                recomputed_attention(hidden_states, project, site.heads)
            }
            AttentionKind::Cross => recomputed(hidden_states, move |states| {
                let ControlFlow::<Infallible, _>::Continue(seen) = block.seen(states, &text, &site, &mut ());
                seen
            }),
        })
    }

    /// What an attention sees, behind its norm.
    fn seen<B>(
        &self,
        hidden_states: Tensor<3>,
        text: &Attended,
        site: &AttentionSite,
        processor: &mut dyn AttentionProcessor<Break = B>,
    ) -> ControlFlow<B, Tensor<3>> {
        match site.kind {
            AttentionKind::SelfAttention => {
                self.attn1.to_itself(layer_norm(&self.norm1, hidden_states), site, processor)
            }
            AttentionKind::Cross => {
                let normed = layer_norm(&self.norm2, hidden_states);
                self.attn2.attend(normed, &text.key, &|| text.value.clone(), site, processor)
            }
        }
    }

    /// The hidden layer of the feed-forward layer, behind its norm.
    fn hidden(&self, hidden_states: Tensor<3>) -> Tensor<3> {
        self.ff.hidden(layer_norm(&self.norm3, hidden_states))
    }
}
