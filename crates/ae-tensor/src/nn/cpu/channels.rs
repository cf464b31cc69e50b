use ae_kernels::{join_channels as kernel, split_channels};
use burn::tensor::Tensor;

use super::operation::{Input, Operation, Primitive, run, sides, tensor, values};

/// The channels of two feature maps beside each other.
pub(in crate::nn) fn join_channels(first: &Tensor<4>, second: &Tensor<4>) -> Option<Tensor<4>> {
    Some(run(&JoinChannels, [Input::new(first.clone())?, Input::new(second.clone())?]))
}

#[derive(Clone, Debug)]
struct JoinChannels;

impl Operation<2> for JoinChannels {
    type Saved = [[usize; 4]; 2];

    fn forward(&self, maps: [Primitive; 2], _: bool) -> (Primitive, Option<Self::Saved>) {
        let [first, second] = maps.map(|map| map.to_contiguous());
        let shapes @ [[batch, rows, columns, a], [.., b]] = [sides::<4>(&first), sides(&second)];
        assert_eq!(shapes[0][..3], shapes[1][..3], "feature maps of one size");
        let joined = kernel([values(&first), values(&second)], [a, b]);
        (tensor(joined, [batch, rows, columns, a + b]), Some(shapes))
    }

    fn backward(&self, shapes: Self::Saved, gradient: Primitive, _: [bool; 2]) -> [Option<Primitive>; 2] {
        let [first, second] = split_channels(values(&gradient.to_contiguous()), shapes.map(|shape| shape[3]));
        [Some(tensor(first, shapes[0])), Some(tensor(second, shapes[1]))]
    }
}
