use ae_kernels::Enlargement;
use burn::tensor::Tensor;

use super::operation::{Input, Operation, Primitive, run, sides, tensor, values};
use super::pictures;

/// A feature map upsampled to `size` (rows, columns) by nearest neighbours.
pub(in crate::nn) fn upsample_nearest(input: &Tensor<4>, size: [usize; 2]) -> Option<Tensor<4>> {
    Some(run(&UpsampleNearest { size }, [Input::new(input.clone())?]))
}

#[derive(Clone, Debug)]
struct UpsampleNearest {
    size: [usize; 2],
}

impl Operation<1> for UpsampleNearest {
    type Saved = [usize; 4];

    fn forward(&self, [input]: [Primitive; 1], _: bool) -> (Primitive, Option<[usize; 4]>) {
        let input = input.to_contiguous();
        let shape = sides(&input);
        let [batch, _, _, channels] = shape;
        let [rows, columns] = self.size;
        let kernel = Enlargement { from: pictures(&input), rows, columns, channels };
        (tensor(kernel.forward(values(&input)), [batch, rows, columns, channels]), Some(shape))
    }

    fn backward(&self, shape: [usize; 4], gradient: Primitive, _: [bool; 1]) -> [Option<Primitive>; 1] {
        let [rows, columns] = self.size;
        let kernel = Enlargement { from: super::size(shape), rows, columns, channels: shape[3] };
        [Some(tensor(kernel.input_gradient(values(&gradient.to_contiguous())), shape))]
    }
}
