use super::operation::{Input, Primitive, run, tensor, values};
use super::size;
use ae_kernels::Enlargement;
use burn::tensor::Tensor;

/// A feature map upsampled to rows and columns by nearest neighbours.
pub(in crate::nn) fn upsample_nearest(input: &Tensor<4>, [rows, columns]: [usize; 2]) -> Option<Tensor<4>> {
    let shape @ [batch, _, _, channels] = input.dims();
    let kernel = Enlargement { from: size(shape), rows, columns, channels };
    let forward = |[input]: [Primitive; 1], _| {
        (tensor(kernel.forward(values(&input.to_contiguous())), [batch, rows, columns, channels]), Some(()))
    };
    let backward = move |(), gradient: Primitive, _| {
        [Some(tensor(kernel.input_gradient(values(&gradient.to_contiguous())), shape))]
    };
    Some(run([Input::new(input)?], forward, backward))
}
