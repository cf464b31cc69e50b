//! What half precision cannot hold: sums of squares, exponentials, products of large queries and keys.

use burn::nn::LayerNorm;
use burn::tensor::activation::softmax;
use burn::tensor::{DType, Tensor};

use super::attention::scaled_dot_product_attention;

/// Runs `layer` in single precision on a tensor of any float type.
pub(super) fn in_f32<const D: usize>(input: Tensor<D>, layer: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Tensor<D> {
    match input.dtype() {
        DType::F32 => layer(input),
        dtype => layer(input.cast(DType::F32)).cast(dtype),
    }
}

/// A layer normalisation, computed in single precision like [`group_norm`](super::group_norm()).
pub fn layer_norm<const D: usize>(norm: &LayerNorm, input: Tensor<D>) -> Tensor<D> {
    in_f32(input, |input| norm.forward(input))
}

/// The attention probabilities `softmax(q k^T / sqrt(head_dim))` in single precision, whatever the type of
/// queries and keys: their products exceed half precision in Stable Diffusion 2 (diffusers'
/// `upcast_attention`).
///
/// # Shapes
/// - query: `[batch, heads, queries, head_dim]`
/// - key: `[batch, heads, keys, head_dim]`
/// - output: `[batch, heads, queries, keys]`
pub fn attention_probs(query: Tensor<4>, key: Tensor<4>) -> Tensor<4> {
    let scale = (query.dims()[3] as f64).sqrt().recip();
    let (query, key) = (query.cast(DType::F32), key.cast(DType::F32));
    softmax((query * scale).matmul(key.transpose()), 3)
}

/// Scaled dot-product attention, computed in single precision like [`attention_probs`], in memory that does not grow
/// with the number of queries times keys.
///
/// # Shapes
/// - query: `[batch, heads, queries, head_dim]`
/// - key, value: `[batch, heads, keys, head_dim]`
/// - output: `[batch, heads, queries, head_dim]`
pub fn attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>) -> Tensor<4> {
    let dtype = value.dtype();
    let [query, key, value] = [query, key, value].map(|tensor| tensor.cast(DType::F32));
    scaled_dot_product_attention(query, key, value).cast(dtype)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;

    fn random(shape: [usize; 4], deviation: f64) -> Tensor<4> {
        Tensor::random(shape, Distribution::Normal(0.0, deviation), &Device::flex())
    }

    #[test]
    fn attention_of_large_queries_stays_finite_in_half_precision() {
        // Products of 200 * 200 * 64 are far above the 65 504 of f16.
        let [query, key] = [random([1, 2, 9, 64], 200.0), random([1, 2, 7, 64], 200.0)];
        let value = random([1, 2, 7, 64], 1.0);
        let half = |tensor: &Tensor<4>| tensor.clone().cast(DType::F16);
        let output = attention(half(&query), half(&key), half(&value));
        assert_eq!(output.dtype(), DType::F16);
        let [query, key] = [query, key].map(|tensor| tensor.cast(DType::F16).cast(DType::F32));
        let expected = attention(query, key, value).into_data();
        output.cast(DType::F32).into_data().assert_approx_eq(&expected, Tolerance::<f32>::rel_abs(2e-3, 2e-3));
    }

    #[test]
    fn both_paths_agree_in_single_precision() {
        let [query, key, value] = [[1, 2, 9, 8], [1, 2, 7, 8], [1, 2, 7, 8]].map(|shape| random(shape, 1.0));
        let expected = attention(query.clone(), key.clone(), value.clone()).into_data();
        let actual = attention_probs(query, key).matmul(value).into_data();
        actual.assert_approx_eq(&expected, Tolerance::<f32>::rel_abs(1e-5, 1e-6));
    }
}
