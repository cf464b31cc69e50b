//! Layouts of feature maps. They lie pixel by pixel, `[batch, rows, columns, channels]`: a convolution is then a matrix product without
//! copies of its patches, a transformer takes the pixels as its rows, and a norm runs along the memory.

use burn::tensor::Tensor;

/// A feature map in diffusers' layout, in ours.
///
/// # Shapes
/// - input: `[batch, channels, rows, columns]`
/// - output: `[batch, rows, columns, channels]`
pub fn channels_last(map: Tensor<4>) -> Tensor<4> {
    map.permute([0, 2, 3, 1])
}

/// The inverse of [`channels_last`].
///
/// # Shapes
/// - input: `[batch, rows, columns, channels]`
/// - output: `[batch, channels, rows, columns]`
pub fn channels_first(map: Tensor<4>) -> Tensor<4> {
    map.permute([0, 3, 1, 2])
}

/// A batch of `batch` entries, by repeating those there are.
///
/// Classifier-free guidance computes the same for both its halves until the text comes in.
///
/// # Panics
///
/// When `batch` is not a multiple of their number.
pub fn repeated<const D: usize>(values: Tensor<D>, batch: usize) -> Tensor<D> {
    let there = values.dims()[0];
    assert!(batch.is_multiple_of(there), "{batch} from {there}");
    if there == batch {
        return values;
    }
    #[cfg(feature = "cpu")]
    if let Some(repeated) = super::cpu::repeated(&values, batch / there) {
        return repeated;
    }
    values.repeat_dim(0, batch / there)
}

/// The channels of two feature maps beside each other, `[batch, rows, columns, channels of both]`.
///
/// # Panics
///
/// When the maps differ in more than the channels.
pub fn join_channels(first: Tensor<4>, second: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if let Some(joined) = super::cpu::join_channels(&first, &second) {
        return joined;
    }
    Tensor::cat(vec![first, second], 3)
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;

    #[test]
    fn a_repeated_batch_is_that_of_burn_forwards_and_backwards() {
        let random = |shape: [usize; 3]| Tensor::<3>::random(shape, Distribution::Default, &Device::flex());
        let (values, weights) = (random([2, 3, 5]).swap_dims(1, 2), random([6, 5, 3]));
        let of = |repeat: fn(Tensor<3>) -> Tensor<3>| {
            let values = values.clone().autodiff().require_grad();
            let output = repeat(values.clone());
            let gradients = (output.clone() * weights.clone()).sum().backward();
            [output.inner().into_data(), values.grad(&gradients).unwrap().into_data()]
        };
        for (ours, burns) in of(|values| repeated(values, 6)).into_iter().zip(of(|values| values.repeat_dim(0, 3))) {
            ours.assert_approx_eq(&burns, Tolerance::<f32>::rel_abs(1e-6, 1e-7));
        }
        let plain = repeated(values.clone(), 4);
        assert_eq!(plain.into_data(), Tensor::cat(vec![values; 2], 0).into_data());
    }

    #[test]
    fn joined_channels_are_those_of_burn_forwards_and_backwards() {
        let random = |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Default, &Device::flex());
        let maps = [[2, 3, 4, 5], [2, 3, 4, 2]].map(|shape| random(shape).autodiff().require_grad());
        let weights = random([2, 3, 4, 7]);
        let of = |joined: Tensor<4>| {
            let gradients = (joined.clone() * weights.clone()).sum().backward();
            (joined.inner().into_data(), maps.each_ref().map(|map| map.grad(&gradients).unwrap().into_data()))
        };
        let [first, second] = maps.clone();
        assert_eq!(of(join_channels(first, second)), of(Tensor::cat(maps.to_vec(), 3)));
    }
}
