use super::operation::{Input, Primitive, run, tensor, values};
use ae_kernels::Smoothing;
use burn::tensor::Tensor;

/// Maps filtered by a square.
pub(in crate::nn) fn smoothed(maps: &Tensor<4>, weights: &[f32]) -> Option<Tensor<4>> {
    let shape @ [.., rows, columns] = maps.dims();
    let kernel = Smoothing { rows, columns, weights: weights.to_vec() };
    let same = kernel.clone();
    let forward = |[maps]: [Primitive; 1], _| (tensor(same.forward(values(&maps.to_contiguous())), shape), Some(()));
    let backward = move |(), gradient: Primitive, _| {
        [Some(tensor(kernel.input_gradient(values(&gradient.to_contiguous())), shape))]
    };
    Some(run([Input::new(maps)?], forward, backward))
}
