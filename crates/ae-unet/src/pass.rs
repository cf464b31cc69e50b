use burn::tensor::Tensor;

use crate::AttentionProcessor;
use crate::text::TextLayers;

/// What a pass of the U-Net takes along from block to block.
pub(crate) struct Pass<'a, B> {
    /// The time embedding after its activation, `[1, channels]`.
    pub(crate) temb: Tensor<2>,
    pub(crate) text: TextLayers<'a>,
    pub(crate) processor: &'a mut dyn AttentionProcessor<Break = B>,
    /// Outputs of layers on the way down that those on the way up have not taken yet.
    pub(crate) skips: Vec<Tensor<4>>,
    /// Whether the backward pass computes transformers again.
    pub(crate) recomputes: bool,
}
