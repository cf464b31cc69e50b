use std::ops::ControlFlow;

use ae_unet::{AttentionKind, AttentionObserver, AttentionSite};
use burn::tensor::Tensor;

/// Collects the cross-attention at one resolution (rows, cols) over the whole pass.
#[derive(Debug)]
pub struct Maps(pub [usize; 2], pub Vec<Tensor<4>>);

impl AttentionObserver for Maps {
    fn wants(&self, site: &AttentionSite) -> bool {
        site.kind == AttentionKind::Cross && site.resolution == self.0
    }

    fn observe(&mut self, _: &AttentionSite, probs: Tensor<4>) -> ControlFlow<()> {
        self.1.push(probs);
        ControlFlow::Continue(())
    }
}
