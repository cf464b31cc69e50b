use super::operation::{Input, Primitive, run, tensor, values};
use ae_kernels::{geglu as kernel, geglu_gradient};
use burn::tensor::Tensor;

/// The gated activation of rows.
pub(in crate::nn) fn geglu(input: &Tensor<3>) -> Option<Tensor<3>> {
    let shape @ [batch, rows, channels] = input.dims();
    let forward = |[input]: [Primitive; 1], _| {
        let input = input.to_contiguous();
        (tensor(kernel(values(&input), channels / 2), [batch, rows, channels / 2]), Some(input))
    };
    let backward = move |input: Primitive, gradient: Primitive, _| {
        [Some(tensor(geglu_gradient(values(&input), values(&gradient.to_contiguous()), channels / 2), shape))]
    };
    Some(run([Input::new(input)?], forward, backward))
}
