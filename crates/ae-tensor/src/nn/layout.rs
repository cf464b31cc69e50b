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
    if there == batch { values } else { values.repeat_dim(0, batch / there) }
}
