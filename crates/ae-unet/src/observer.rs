use std::ops::ControlFlow;

use burn::tensor::Tensor;

use crate::AttentionSite;

/// Looks at attention probabilities while the U-Net runs.
///
/// The U-Net stores nothing and counts nothing: it asks at every site, in the order of the pass.
pub trait AttentionObserver {
    /// Whether the probabilities of this layer are wanted. If not, they are never formed.
    fn wants(&self, site: &AttentionSite) -> bool;

    /// Receives the probabilities of a wanted layer.
    ///
    /// [`ControlFlow::Break`] ends the pass here: nothing that only later layers need is computed.
    ///
    /// # Shapes
    /// - probs: `[batch, heads, rows * cols, tokens]`; for self-attention the last axis is
    ///   `rows * cols` too
    fn observe(&mut self, site: &AttentionSite, probs: Tensor<4>) -> ControlFlow<()>;
}

/// Observes nothing.
impl AttentionObserver for () {
    fn wants(&self, _: &AttentionSite) -> bool {
        false
    }

    fn observe(&mut self, _: &AttentionSite, _: Tensor<4>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
