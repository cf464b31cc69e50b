//! What half precision cannot hold: sums of squares, exponentials, products of large queries and keys.

use burn::tensor::activation::softmax;
use burn::tensor::module;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{DType, Tensor};

use super::attention::scaled_dot_product_attention;
use super::heads::{merge_heads, split_heads};

/// Runs `layer` in single precision on a tensor of any float type.
pub(super) fn in_f32<const D: usize>(input: Tensor<D>, layer: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Tensor<D> {
    match input.dtype() {
        DType::F32 => layer(input),
        dtype => layer(input.cast(DType::F32)).cast(dtype),
    }
}

/// The attention probabilities `softmax(q k^T / sqrt(head_dim))` in single precision, whatever the type of
/// queries and keys: their products exceed half precision in Stable Diffusion 2 (diffusers'
/// `upcast_attention`).
///
/// # Shapes
/// - query: `[batch, queries, heads * head_dim]`
/// - key: `[batch, keys, heads * head_dim]`
/// - output: `[batch, heads, queries, keys]`
pub fn attention_probs(query: Tensor<3>, key: Tensor<3>, heads: usize) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if let Some(output) = super::cpu::attention_probs(&query, &key, heads) {
        return output;
    }
    let [query, key] = [query, key].map(|tensor| split_heads(tensor, heads).cast(DType::F32));
    plain_probs(query, key)
}

fn plain_probs(query: Tensor<4>, key: Tensor<4>) -> Tensor<4> {
    let scale = (query.dims()[3] as f64).sqrt().recip();
    softmax((query * scale).matmul(key.transpose()), 3)
}

/// Scaled dot-product attention of `heads` heads whose channels lie beside each other, computed in single precision like
/// [`attention_probs`], in memory that does not grow with the number of queries times keys.
///
/// # Shapes
/// - query and output: `[batch, queries, heads * head_dim]`
/// - key, value: `[batch, keys, heads * head_dim]`
pub fn attention(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, heads: usize) -> Tensor<3> {
    let dtype = value.dtype();
    let [query, key, value] = [query, key, value].map(|tensor| tensor.cast(DType::F32));
    #[cfg(feature = "cpu")]
    if let Some(output) = super::cpu::attention(&query, &key, &value, heads) {
        return output.cast(dtype);
    }
    let [query, key, value] = [query, key, value].map(|tensor| split_heads(tensor, heads));
    merge_heads(scaled_dot_product_attention(query, key, value).cast(dtype))
}

/// What is seen with given attention probabilities, in the type of the values.
///
/// # Shapes
/// - probs: `[batch, heads, queries, keys]`
/// - value: `[batch, keys, heads * head_dim]`
/// - output: `[batch, queries, heads * head_dim]`
pub fn attention_values(probs: Tensor<4>, value: Tensor<3>) -> Tensor<3> {
    #[cfg(feature = "cpu")]
    if let Some(output) = super::cpu::attention_values(&probs, &value) {
        return output;
    }
    let heads = probs.dims()[1];
    merge_heads(probs.cast(value.dtype()).matmul(split_heads(value, heads)))
}

/// The attention of a short sequence to itself, of `heads` heads and in single precision like [`attention`]. With `is_causal`
/// no place sees what follows it.
///
/// # Shapes
/// - query, key, value and output: `[batch, sequence, heads * head_dim]`
pub fn self_attention(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, heads: usize, is_causal: bool) -> Tensor<3> {
    let dtype = query.dtype();
    let [query, key, value] = [query, key, value].map(|states| states.cast(DType::F32));
    #[cfg(feature = "cpu")]
    if let Some(output) = super::cpu::self_attention(&query, &key, &value, heads, is_causal) {
        return output.cast(dtype);
    }
    by_burn([query, key, value], heads, is_causal).cast(dtype)
}

fn by_burn(states: [Tensor<3>; 3], heads: usize, is_causal: bool) -> Tensor<3> {
    let [query, key, value] = states.map(|states| split_heads(states, heads));
    // burn's default scale, but named: without it cubecl may choose a kernel with f16 products, and a pass
    // over some 77 tokens or 200 patches is no place to trade exactness for speed.
    let scale = (query.dims()[3] as f64).sqrt().recip();
    let options = AttentionModuleOptions { scale: Some(scale), softcap: None, is_causal };
    merge_heads(module::attention(query, key, value, None, None, options))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Bool, Device, Distribution, Tolerance};

    use super::*;

    fn random<const D: usize>(shape: [usize; D], deviation: f64) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, deviation), &Device::flex())
    }

    #[test]
    fn attention_of_large_queries_stays_finite_in_half_precision() {
        // Products of 200 * 200 * 64 are far above the 65 504 of f16.
        let [query, key] = [random([1, 9, 128], 200.0), random([1, 7, 128], 200.0)];
        let value = random([1, 7, 128], 1.0);
        let half = |tensor: &Tensor<3>| tensor.clone().cast(DType::F16);
        let output = attention(half(&query), half(&key), half(&value), 2);
        assert_eq!(output.dtype(), DType::F16);
        let [query, key] = [query, key].map(|tensor| tensor.cast(DType::F16).cast(DType::F32));
        let expected = attention(query, key, value, 2).into_data();
        output.cast(DType::F32).into_data().assert_approx_eq(&expected, Tolerance::<f32>::rel_abs(2e-3, 2e-3));
    }

    #[test]
    fn the_causal_option_is_a_triangular_mask() {
        let states @ [query, key, value] = &[(); 3].map(|()| random([2, 77, 48], 1.0));
        let mask = Tensor::<2, Bool>::triu_mask([77, 77], 1, &Device::flex()).bool_not();
        let [queries, keys, values] = [query, key, value].map(|states| split_heads(states.clone(), 3));
        let weights = (queries.matmul(keys.transpose()) / 4.0).mask_fill(mask.unsqueeze(), f32::NEG_INFINITY);
        let expected = merge_heads(softmax(weights, 3).matmul(values)).into_data();
        let half = |states: &Tensor<3>| states.clone().cast(DType::BF16);
        for (actual, tolerance) in [
            (self_attention(query.clone(), key.clone(), value.clone(), 3, true), 1e-5),
            (by_burn(states.clone(), 3, true), 1e-5),
            (self_attention(half(query), half(key), half(value), 3, true).cast(DType::F32), 3e-2),
        ] {
            actual.into_data().assert_approx_eq(&expected, Tolerance::<f32>::rel_abs(tolerance, tolerance));
        }
        let whole = self_attention(query.clone(), key.clone(), value.clone(), 3, false).into_data();
        let expected = attention(query.clone(), key.clone(), value.clone(), 3).into_data();
        whole.assert_approx_eq(&expected, Tolerance::<f32>::rel_abs(1e-5, 1e-6));
    }

    #[test]
    fn values_and_their_gradients_are_those_of_burns_product() {
        let (probs, value) = (random([2, 3, 9, 7], 1.0), random([2, 7, 12], 1.0));
        let weights = random([2, 9, 12], 1.0);
        let of = |values: &dyn Fn(Tensor<4>, Tensor<3>) -> Tensor<3>| {
            let (probs, value) = (probs.clone().autodiff().require_grad(), value.clone().autodiff().require_grad());
            let output = values(probs.clone(), value.clone());
            let gradients = (output.clone() * weights.clone()).sum().backward();
            let by_probs = probs.grad(&gradients).unwrap().into_data();
            [output.inner().into_data(), by_probs, value.grad(&gradients).unwrap().into_data()]
        };
        let burns = of(&|probs, value| merge_heads(probs.matmul(split_heads(value, 3))));
        for (ours, burns) in of(&attention_values).into_iter().zip(burns) {
            ours.assert_approx_eq(&burns, Tolerance::<f32>::rel_abs(1e-5, 1e-5));
        }
    }

    #[test]
    fn every_path_agrees_in_single_precision() {
        let [query, key, value] = [[1, 9, 16], [1, 7, 16], [1, 7, 16]].map(|shape| random(shape, 1.0));
        let expected = attention(query.clone(), key.clone(), value.clone(), 2).into_data();
        let probs = attention_probs(query.clone(), key.clone(), 2);
        let [query, key, value] = [query, key, value].map(|tensor| split_heads(tensor, 2));
        let paths = [
            probs.clone().matmul(value.clone()),
            split_heads(attention_values(probs, merge_heads(value.clone())), 2),
            plain_probs(query.clone(), key.clone()).matmul(value.clone()),
            scaled_dot_product_attention(query, key, value),
        ];
        for actual in paths {
            let tolerance = Tolerance::<f32>::rel_abs(1e-5, 1e-6);
            merge_heads(actual).into_data().assert_approx_eq(&expected, tolerance);
        }
    }
}
