use ae_kernels::{geglu as kernel, geglu_gradient};
use burn::tensor::Tensor;

use super::operation::{Input, Operation, Primitive, run, sides, tensor, values};

/// The gated activation of rows.
pub(in crate::nn) fn geglu(input: &Tensor<3>) -> Option<Tensor<3>> {
    Some(run(&Geglu, [Input::new(input.clone())?]))
}

#[derive(Clone, Debug)]
struct Geglu;

impl Operation<1> for Geglu {
    type Saved = Primitive;

    fn forward(&self, [input]: [Primitive; 1], _: bool) -> (Primitive, Option<Primitive>) {
        let input = input.to_contiguous();
        let [batch, rows, channels] = sides(&input);
        (tensor(kernel(values(&input), channels / 2), [batch, rows, channels / 2]), Some(input))
    }

    fn backward(&self, input: Primitive, gradient: Primitive, _: [bool; 1]) -> [Option<Primitive>; 1] {
        let [batch, rows, channels] = sides(&input);
        let gradient = geglu_gradient(values(&input), values(&gradient.to_contiguous()), channels / 2);
        [Some(tensor(gradient, [batch, rows, channels]))]
    }
}
