//! Scaled dot-product attention in bounded memory, forwards and backwards.
//!
//! burn's own attention keeps every matrix of scores for the backward pass: at 4096 patches and 8 heads these are
//! 537 MB each, several for every layer. This operation keeps queries, keys and values alone and forms the scores
//! of some queries at a time, in both directions; the result is the same.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Slice, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

/// The scores that exist at a time, in elements: 128 MiB in single precision.
const SCORES: usize = 32 << 20;

/// `softmax(query key^T / sqrt(head_dim)) value`, in the type of the arguments.
///
/// # Shapes
/// - query: `[batch, heads, queries, head_dim]`
/// - key, value: `[batch, heads, keys, head_dim]`
/// - output: `[batch, heads, queries, head_dim]`
pub(super) fn scaled_dot_product_attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>) -> Tensor<4> {
    in_slices(query, key, value, SCORES)
}

fn in_slices(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, scores: usize) -> Tensor<4> {
    let scale = (query.dims()[3] as f64).sqrt().recip();
    let [query, key, value] = [query, key, value].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as AttentionOps>::attention_in_slices(query, key, value, scale, scores))
}

/// What a backend does for [`scaled_dot_product_attention`].
#[cfg_attr(not(any(feature = "cpu", feature = "gpu")), allow(unused_variables, reason = "no backend reads them"))]
#[backend_extension(
    Flex: cfg(feature = "cpu"),
    Cube: cfg(feature = "gpu"),
    Autodiff
)]
pub(super) trait AttentionOps: Backend {
    /// The attention of all queries, `scores` elements of the matrix of scores at a time.
    fn attention_in_slices(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        scale: f64,
        scores: usize,
    ) -> FloatTensor<Self> {
        let key = Self::float_transpose(key);
        let outputs = query_slices::<Self>(&query, &key, scores).map(|rows| {
            let probs = probabilities::<Self>(slice::<Self>(&query, rows), key.clone(), scale);
            Self::float_matmul(probs, value.clone())
        });
        concatenate::<Self>(outputs.collect())
    }
}

/// GPUs: plain products. What burn chooses among for an attention may compute with half-precision fragments
/// whatever the type (burn-cubecl's `kernel/attention/tune.rs`).
#[cfg(feature = "gpu")]
impl AttentionOps for burn::backend::Cube {}

/// The CPU: flex has a fused kernel that forms no matrix of scores.
#[cfg(feature = "cpu")]
impl AttentionOps for burn::backend::Flex {}

impl<B: Backend + AttentionOps, C: CheckpointStrategy> AttentionOps for Autodiff<B, C> {
    fn attention_in_slices(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        scale: f64,
        scores: usize,
    ) -> FloatTensor<Self> {
        let inputs = [query.node(), key.node(), value.node()];
        match AttentionBackward.prepare::<C>(inputs).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let ids = [&query, &key, &value].map(|tensor| prep.checkpoint(tensor));
                let [query, key, value] = [query, key, value].map(FloatTensor::<Self>::into_primitive);
                prep.finish((ids, scale, scores), B::attention_in_slices(query, key, value, scale, scores))
            }
            OpsKind::UnTracked(prep) => {
                let [query, key, value] = [query, key, value].map(FloatTensor::<Self>::into_primitive);
                prep.finish(B::attention_in_slices(query, key, value, scale, scores))
            }
        }
    }
}

#[derive(Debug)]
struct AttentionBackward;

/// Query, key and value; the factor of the scores; how many of them there may be at a time.
type State = ([NodeId; 3], f64, usize);

impl<B: Backend> Backward<B, 3> for AttentionBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let (ids, scale, scores) = ops.state;
        let [query, key, value] = ids.map(|id| checkpointer.retrieve_node_output::<FloatTensor<B>>(id));
        let gradient = grads.consume::<B>(&ops.node);
        let gradients = attention_backward::<B>(&query, &key, value, &gradient, scale, scores);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

/// The gradients by query, key and value from the gradient by the output. The probabilities are formed anew.
///
/// With `S = scale Q K^T`, `P = softmax(S)` and `dP = dO V^T`: `dS = P (dP - sum(dP P))`, the sum over each row;
/// `dQ = scale dS K`, `dK = scale dS^T Q`, `dV = P^T dO`.
fn attention_backward<B: Backend>(
    query: &FloatTensor<B>,
    key: &FloatTensor<B>,
    value: FloatTensor<B>,
    gradient: &FloatTensor<B>,
    scale: f64,
    scores: usize,
) -> [FloatTensor<B>; 3] {
    let key_transposed = B::float_transpose(key.clone());
    let value_transposed = B::float_transpose(value);
    let mut by_query = Vec::new();
    let mut by_key_and_value: Option<[FloatTensor<B>; 2]> = None;
    for rows in query_slices::<B>(query, &key_transposed, scores) {
        let query = slice::<B>(query, rows);
        let gradient = slice::<B>(gradient, rows);
        let probs = probabilities::<B>(query.clone(), key_transposed.clone(), scale);
        let by_value = B::float_matmul(B::float_transpose(probs.clone()), gradient.clone());
        let weighted = B::float_mul(B::float_matmul(gradient, value_transposed.clone()), probs.clone());
        let sums = B::float_sum_dim(weighted.clone(), 3);
        let by_scores = B::float_sub(weighted, B::float_mul(probs, sums));
        let by_key = B::float_matmul(B::float_transpose(by_scores.clone()), query);
        by_query.push(B::float_matmul(by_scores, key.clone()));
        by_key_and_value = Some(match by_key_and_value {
            Some([key, value]) => [B::float_add(key, by_key), B::float_add(value, by_value)],
            None => [by_key, by_value],
        });
    }
    let [by_key, by_value] = by_key_and_value.expect("at least one query");
    let scaled = |gradient| B::float_mul_scalar(gradient, scale.into());
    [scaled(concatenate::<B>(by_query)), scaled(by_key), by_value]
}

fn probabilities<B: Backend>(query: FloatTensor<B>, key_transposed: FloatTensor<B>, scale: f64) -> FloatTensor<B> {
    B::softmax(B::float_matmul(B::float_mul_scalar(query, scale.into()), key_transposed), 3)
}

/// First and last query (exclusive) of every slice.
fn query_slices<B: Backend>(
    query: &FloatTensor<B>,
    key_transposed: &FloatTensor<B>,
    scores: usize,
) -> impl Iterator<Item = (usize, usize)> + use<B> {
    let shape = query.shape();
    let scores_of_a_query = shape[0] * shape[1] * key_transposed.shape()[3];
    let (queries, size) = (shape[2], (scores / scores_of_a_query.max(1)).max(1));
    (0..queries).step_by(size).map(move |start| (start, queries.min(start + size)))
}

fn slice<B: Backend>(tensor: &FloatTensor<B>, (start, end): (usize, usize)) -> FloatTensor<B> {
    if (start, end) == (0, tensor.shape()[2]) {
        return tensor.clone();
    }
    B::float_slice(tensor.clone(), &[Slice::full(), Slice::full(), Slice::from(start..end), Slice::full()])
}

fn concatenate<B: Backend>(mut slices: Vec<FloatTensor<B>>) -> FloatTensor<B> {
    if let [_] = slices[..] { slices.remove(0) } else { B::float_cat(slices, 2) }
}

#[cfg(test)]
mod tests {
    use burn::tensor::activation::softmax;
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;

    /// The definition, through burn's own gradients.
    fn plain(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>) -> Tensor<4> {
        let scale = (query.dims()[3] as f64).sqrt().recip();
        softmax((query * scale).matmul(key.transpose()), 3).matmul(value)
    }

    /// Output and gradients by query, key and value of a weighted sum of the output.
    fn with_gradients(
        attention: impl FnOnce(Tensor<4>, Tensor<4>, Tensor<4>) -> Tensor<4>,
        inputs: &[Tensor<4>; 3],
        weights: &Tensor<4>,
    ) -> [Tensor<4>; 4] {
        let [query, key, value] = inputs.clone().map(|input| input.autodiff().require_grad());
        let output = attention(query.clone(), key.clone(), value.clone());
        let gradients = (output.clone() * weights.clone()).sum().backward();
        let by = |input: Tensor<4>| input.grad(&gradients).expect("a gradient");
        [output.inner(), by(query), by(key), by(value)]
    }

    fn random(shape: [usize; 4]) -> Tensor<4> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
    }

    #[test]
    fn slices_of_any_size_give_the_plain_result_and_gradients() {
        let inputs = [random([2, 3, 13, 8]), random([2, 3, 7, 8]), random([2, 3, 7, 8])];
        let weights = random([2, 3, 13, 8]);
        let expected = with_gradients(plain, &inputs, &weights);
        // All queries at once, five at a time with a remainder, one at a time, and less than one fits.
        for scores in [usize::MAX, 5 * 42, 42, 0] {
            let sliced = |query, key, value| in_slices(query, key, value, scores);
            for (actual, expected) in with_gradients(sliced, &inputs, &weights).into_iter().zip(&expected) {
                let tolerance = Tolerance::<f32>::rel_abs(1e-4, 1e-5);
                actual.into_data().assert_approx_eq(&expected.to_data(), tolerance);
            }
        }
    }

    #[test]
    fn the_forward_pass_in_slices_is_that_of_the_fused_kernel() {
        use burn::backend::Flex;
        use burn::tensor::ops::AttentionModuleOptions;

        let [query, key, value] = [random([1, 2, 11, 4]), random([1, 2, 6, 4]), random([1, 2, 6, 4])];
        let primitive = |tensor: &Tensor<4>| tensor.clone().try_into_primitive::<Flex>().expect("on flex");
        let sliced = Flex::attention_in_slices(primitive(&query), primitive(&key), primitive(&value), 0.5, 3 * 12);
        let actual = Tensor::<4>::from_primitive::<Flex>(sliced).into_data();
        let options = AttentionModuleOptions { scale: Some(0.5), softcap: None, is_causal: false };
        let expected = burn::tensor::module::attention(query, key, value, None, None, options).into_data();
        actual.assert_approx_eq(&expected, Tolerance::<f32>::rel_abs(1e-5, 1e-6));
    }

    #[test]
    fn inputs_without_gradient_get_none() {
        let [query, key, value] = [random([1, 1, 4, 4]), random([1, 1, 4, 4]), random([1, 1, 4, 4])];
        let tracked = query.autodiff().require_grad();
        let gradients = in_slices(tracked.clone(), key.clone(), value, 8).sum().backward();
        assert!(tracked.grad(&gradients).is_some());
        assert!(!key.is_tracked());
    }
}
