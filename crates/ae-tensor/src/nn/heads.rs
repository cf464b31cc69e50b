use burn::tensor::Tensor;

/// Splits the channels into attention heads.
///
/// # Shapes
/// - input: `[batch, sequence, heads * head_dim]`
/// - output: `[batch, heads, sequence, head_dim]`
pub(super) fn split_heads(hidden_states: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, sequence, channels] = hidden_states.dims();
    hidden_states.reshape([batch, sequence, heads, channels / heads]).swap_dims(1, 2)
}

/// The inverse of [`split_heads`].
///
/// # Shapes
/// - input: `[batch, heads, sequence, head_dim]`
/// - output: `[batch, sequence, heads * head_dim]`
pub(super) fn merge_heads(hidden_states: Tensor<4>) -> Tensor<3> {
    let [batch, heads, sequence, head_dim] = hidden_states.dims();
    hidden_states.swap_dims(1, 2).reshape([batch, sequence, heads * head_dim])
}

/// The mean over all heads of all given layers.
///
/// # Shapes
/// - layers: one or more of `[batch, heads, queries, keys]`
/// - output: `[batch, queries, keys]`
///
/// # Panics
///
/// Without a layer, or when they differ in anything but the heads.
pub fn mean_over_heads(mut layers: Vec<Tensor<4>>) -> Tensor<3> {
    #[cfg(feature = "cpu")]
    if let Some(mean) = super::cpu::mean_over_heads(&layers) {
        return mean;
    }
    let probs = if let [_] = layers[..] { layers.remove(0) } else { Tensor::cat(layers, 1) };
    probs.mean_dim(1).squeeze_dim(1)
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn the_mean_is_that_of_burn_bit_for_bit_forwards_and_backwards() {
        let random = |shape: [usize; 4]| {
            Tensor::<4>::random(shape, Distribution::Default, &Device::flex()).autodiff().require_grad()
        };
        for heads in [&[2][..], &[3, 1, 4]] {
            let layers: Vec<_> = heads.iter().map(|&heads| random([2, heads, 5, 3])).collect();
            let weights = Tensor::<3>::random([2, 5, 3], Distribution::Default, &Device::flex());
            let of = |mean: Tensor<3>| {
                let gradients = (mean.clone() * weights.clone()).sum().backward();
                let by_layers = layers.iter().map(|layer| layer.grad(&gradients).unwrap().into_data());
                (mean.inner().into_data(), by_layers.collect::<Vec<_>>())
            };
            let expected = Tensor::cat(layers.clone(), 1).mean_dim(1).squeeze_dim(1);
            assert_eq!(of(mean_over_heads(layers.clone())), of(expected));
        }
    }
}
