use super::operation::{Input, Primitive, run, tensor, values};
use ae_kernels::{softmax as kernel, softmax_gradient};
use burn::tensor::Tensor;

/// The softmax of the last dimension, of scaled logits.
pub(in crate::nn) fn softmax<const D: usize>(logits: &Tensor<D>, scale: f32) -> Option<Tensor<D>> {
    let (shape, width) = (logits.dims(), logits.dims()[D - 1]);
    let forward = |[logits]: [Primitive; 1], _| {
        let probs = tensor(kernel(values(&logits.to_contiguous()), width, scale), shape);
        (probs.clone(), Some(probs))
    };
    let backward = move |probs: Primitive, gradient: Primitive, _| {
        let gradient = gradient.to_contiguous();
        [Some(tensor(softmax_gradient(values(&probs), width, scale, values(&gradient)), shape))]
    };
    Some(run([Input::new(logits)?], forward, backward))
}
