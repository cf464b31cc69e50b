use crate::parallel::for_rows;
use crate::profile::{Kernel, counted};

/// A mean over attention heads, which may be those of several layers: one layer is added at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadSum {
    /// Number of pictures.
    pub batch: usize,
    /// Heads of the layer.
    pub heads: usize,
    /// Heads that the sum is divided by once the last layer is added; none before.
    pub divisor: Option<usize>,
}

impl HeadSum {
    /// The sum over the heads of a layer, added to that of the layers before it.
    ///
    /// # Shapes
    /// - probabilities: `[batch, heads, queries, keys]`
    /// - before and output: `[batch, queries, keys]`
    ///
    /// # Panics
    ///
    /// When the sizes do not fit together.
    pub fn forward(&self, probabilities: &[f32], before: Option<&[f32]>) -> Vec<f32> {
        let Self { batch, heads, divisor } = *self;
        assert!(probabilities.len().is_multiple_of(batch * heads), "heads: {batch} times {heads} of them");
        let size = probabilities.len() / (batch * heads);
        counted(Kernel::Elementwise, 0, || {
            let mut out = before.map_or_else(|| vec![0.0; batch * size], <[f32]>::to_vec);
            assert_eq!(out.len(), batch * size, "heads: the sum before");
            for_rows!(&mut out, size, |first, out| {
                let pictures = probabilities[first * heads * size..].chunks_exact((heads * size).max(1));
                for (out, picture) in out.chunks_exact_mut(size).zip(pictures) {
                    for head in picture.chunks_exact(size) {
                        for (out, prob) in out.iter_mut().zip(head) {
                            *out += prob;
                        }
                    }
                    if let Some(divisor) = divisor {
                        for out in out.iter_mut() {
                            *out /= divisor as f32;
                        }
                    }
                }
            });
            out
        })
    }

    /// The gradient of a loss by the sum before this layer, from that by the output; that by every head is the same.
    pub fn sum_gradient(&self, gradient: &[f32]) -> Vec<f32> {
        let factor = self.divisor.map_or(1.0, |divisor| (divisor as f64).recip() as f32);
        gradient.iter().map(|gradient| gradient * factor).collect()
    }

    /// The gradient by the probabilities, from that by the sum before this layer.
    ///
    /// # Shapes
    /// - gradient: `[batch, queries, keys]`
    /// - output: `[batch, heads, queries, keys]`
    pub fn spread(&self, gradient: &[f32]) -> Vec<f32> {
        let Self { batch, heads, .. } = *self;
        counted(Kernel::Elementwise, 0, || {
            let mut out = Vec::with_capacity(gradient.len() * heads);
            for picture in gradient.chunks_exact((gradient.len() / batch).max(1)) {
                (0..heads).for_each(|_| out.extend_from_slice(picture));
            }
            out
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, dot, finite_differences, random};

    /// `torch.cat([torch.arange(8.).reshape(1, 2, 2, 2), torch.ones(1, 1, 2, 2)], 1).mean(1)`
    #[test]
    fn the_mean_over_two_layers_is_torchs() {
        let first = HeadSum { batch: 1, heads: 2, divisor: None };
        let values: Vec<f32> = (0u8..8).map(f32::from).collect();
        let sum = first.forward(&values, None);
        assert_eq!(sum, [4.0, 6.0, 8.0, 10.0]);
        let last = HeadSum { batch: 1, heads: 1, divisor: Some(3) };
        let expected = [1.666_666_6, 2.333_333_3, 3.0, 3.666_666_7];
        assert_close(&last.forward(&[1.0; 4], Some(&sum)), &expected, 1e-6);
    }

    #[test]
    fn every_picture_has_its_own_heads_and_gradients_are_those_of_differences() {
        let layer = HeadSum { batch: 2, heads: 3, divisor: Some(5) };
        let (probs, before, weights) = (random(2 * 3 * 7, 1), random(2 * 7, 2), random(2 * 7, 3));
        let by_sum = layer.sum_gradient(&weights);
        let expected = finite_differences(&before, 1e-2, |before| dot(&layer.forward(&probs, Some(before)), &weights));
        assert_close(&by_sum, &expected, 1e-3);
        let expected = finite_differences(&probs, 1e-2, |probs| dot(&layer.forward(probs, Some(&before)), &weights));
        assert_close(&layer.spread(&by_sum), &expected, 1e-3);
    }
}
