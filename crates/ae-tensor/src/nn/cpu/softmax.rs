use super::operation::{Input, Primitive, run, tensor, values};
use ae_kernels::Softmax;
use burn::tensor::Tensor;
use std::ops::Range;

/// The softmax of windows of the last dimension, of scaled logits.
pub(in crate::nn) fn softmax<const D: usize>(
    logits: &Tensor<D>,
    windows: &[Range<usize>],
    scale: f32,
) -> Option<Tensor<D>> {
    let shape = logits.dims();
    let kernel = Softmax { width: shape[D - 1], windows: windows.to_vec(), scale };
    let (same, mut output) = (kernel.clone(), shape);
    output[D - 1] = kernel.columns();
    let forward = |[logits]: [Primitive; 1], _| {
        let probs = tensor(same.forward(values(&logits.to_contiguous())), output);
        (probs.clone(), Some(probs))
    };
    let backward = move |probs: Primitive, gradient: Primitive, _| {
        let gradient = gradient.to_contiguous();
        [Some(tensor(kernel.input_gradient(values(&probs), values(&gradient)), shape))]
    };
    Some(run([Input::new(logits)?], forward, backward))
}
