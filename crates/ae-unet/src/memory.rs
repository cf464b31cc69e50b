//! What a pass holds in memory beside the weights, from the sizes of the blocks. Nothing is built for it.

use crate::shape::BlockShape;
use crate::{AttentionSite, Place, UNetConfig};

/// Maps of a block's channels that a transformer works with at once: the feed-forward block's eight and four widths, its input and the
/// residual; attention takes less.
const TRANSFORMER: usize = 14;
/// Maps of a block's channels that the backward pass needs of a transformer block: the inputs of its norms, queries, keys, values and
/// output of its attention, the input of the gate.
const KEPT: usize = 18;

impl UNetConfig {
    /// About how many parameters the network has.
    pub fn parameters(&self) -> usize {
        #[expect(
            clippy::cast_sign_loss,
            clippy::cast_possible_truncation,
            reason = "a config is checked to be of a network that exists"
        )]
        let parameters = self.cost().0 as usize;
        parameters
    }

    /// About how many numbers a pass holds at once for one picture and one text, without the weights: the maps that are alive together, and
    /// half as many again for what the kernels lay out anew. Up to two thirds more than are measured (docs/performance.md).
    ///
    /// `tracked` is the last attention layer of a pass whose gradient is taken: it ends there, and the maps up to there are kept.
    pub fn activations(&self, latent_size: [usize; 2], tracked: Option<&AttentionSite>) -> usize {
        let pixels = |[rows, cols]: [usize; 2]| rows * cols;
        let mut skips = self.block_out_channels[0] * pixels(latent_size);
        let (mut kept, mut working) = (0, 0);
        for (block, shape, resolution) in self.blocks(latent_size) {
            let area = pixels(resolution);
            if shape.place == Place::Down {
                let halved = if shape.resample { area.div_ceil(4) } else { 0 };
                skips += shape.channels * (shape.resnets.len() * area + halved);
            }
            kept += shape.kept() * area;
            working = working.max(shape.working() * area);
            if tracked.is_some_and(|last| (last.place, last.block) == (shape.place, block)) {
                break;
            }
        }
        let alive = skips + working + if tracked.is_some() { kept } else { 0 };
        alive + alive / 2
    }
}

impl BlockShape {
    fn depth(&self) -> usize {
        self.transformer.as_ref().map_or(0, |transformer| transformer.layers)
    }

    /// Numbers of a pixel that the layers of the block work with at once: a resnet with its input, the same normalised, and twice the
    /// output of either convolution.
    fn working(&self) -> usize {
        let resnets = self.resnets.iter().map(|resnet| 2 * resnet.in_channels + 4 * resnet.out_channels);
        let transformers = if self.depth() > 0 { TRANSFORMER * self.channels } else { 0 };
        resnets.max().unwrap_or(0).max(transformers)
    }

    /// Numbers of a pixel that the backward pass needs: the inputs of the norms, and those of [`KEPT`].
    fn kept(&self) -> usize {
        let resnets = self.resnets.iter().map(|resnet| resnet.in_channels + resnet.out_channels);
        resnets.sum::<usize>() + KEPT * self.channels * self.transformers * self.depth()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AttentionKind;

    #[test]
    fn activations_grow_with_the_picture_and_with_what_is_kept() {
        let config = UNetConfig::stable_diffusion_1();
        let [small, large] = [[32, 32], [64, 64]].map(|size| config.activations(size, None));
        assert_eq!(large, 4 * small);
        let cross = |resolution| {
            let mut sites = config.attention_sites([64, 64]).into_iter();
            sites.rfind(|site| site.kind == AttentionKind::Cross && site.resolution == resolution).unwrap()
        };
        let [coarse, fine] = [[16, 16], [64, 64]].map(|size| config.activations([64, 64], Some(&cross(size))));
        assert!(large < coarse && coarse < fine, "{large} {coarse} {fine}");
    }
}
