use super::operation::{Input, Primitive, run, tensor, values};
use ae_kernels::{join_channels as kernel, split_channels};
use burn::tensor::Tensor;

/// The channels of two feature maps beside each other.
pub(in crate::nn) fn join_channels(first: &Tensor<4>, second: &Tensor<4>) -> Option<Tensor<4>> {
    let shapes @ [[batch, rows, columns, a], [.., b]] = [first.dims(), second.dims()];
    assert_eq!(shapes[0][..3], shapes[1][..3], "feature maps of one size");
    let forward = |maps: [Primitive; 2], _| {
        let [first, second] = maps.map(|map| map.to_contiguous());
        (tensor(kernel([values(&first), values(&second)], [a, b]), [batch, rows, columns, a + b]), Some(()))
    };
    let backward = move |(), gradient: Primitive, _| {
        let [first, second] = split_channels(values(&gradient.to_contiguous()), [a, b]);
        [Some(tensor(first, shapes[0])), Some(tensor(second, shapes[1]))]
    };
    Some(run([Input::new(first)?, Input::new(second)?], forward, backward))
}
