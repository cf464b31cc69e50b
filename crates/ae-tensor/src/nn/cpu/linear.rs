use ae_kernels::{WeightOrder, linear as kernel};
use burn::backend::TensorMetadata;
use burn::nn;
use burn::tensor::Tensor;

use super::operation::{Input, Operation, Primitive, constant, run, sides, tensor, values};

/// A linear layer, plus a residual.
pub(in crate::nn) fn linear<const D: usize>(
    layer: &nn::Linear,
    input: &Tensor<D>,
    residual: Option<&Tensor<D>>,
) -> Option<Tensor<D>> {
    let bias = match &layer.bias {
        Some(bias) => Some(constant(bias.val())?),
        None => None,
    };
    let operation = Linear { weight: constant(layer.weight.val())?, bias };
    let input = Input::new(input.clone())?;
    Some(match residual {
        Some(residual) => run::<_, 2, D>(&operation, [input, Input::new(residual.clone())?]),
        None => run::<_, 1, D>(&operation, [input]),
    })
}

#[derive(Clone, Debug)]
struct Linear {
    weight: Primitive,
    bias: Option<Primitive>,
}

impl Linear {
    fn compute(&self, input: &Primitive, residual: Option<&Primitive>) -> Primitive {
        let [_, outputs] = sides(&self.weight);
        let bias = self.bias.as_ref().map(values);
        let input = input.to_contiguous();
        let output =
            kernel(values(&input), values(&self.weight), WeightOrder::InputsFirst, outputs, bias, residual.map(values));
        tensor(output, with_last(&input, outputs))
    }

    fn input_gradient(&self, gradient: &Primitive) -> Primitive {
        let [inputs, _] = sides(&self.weight);
        let output = kernel(values(gradient), values(&self.weight), WeightOrder::OutputsFirst, inputs, None, None);
        tensor(output, with_last(gradient, inputs))
    }
}

/// The shape with another last side.
fn with_last(tensor: &Primitive, last: usize) -> Vec<usize> {
    let shape = tensor.shape();
    let mut sides: Vec<usize> = (0..shape.num_dims()).map(|dim| shape[dim]).collect();
    *sides.last_mut().expect("a matrix") = last;
    sides
}

impl Operation<1> for Linear {
    type Saved = ();

    fn forward(&self, [input]: [Primitive; 1], _: bool) -> (Primitive, Option<()>) {
        (self.compute(&input, None), Some(()))
    }

    fn backward(&self, (): (), gradient: Primitive, _: [bool; 1]) -> [Option<Primitive>; 1] {
        [Some(self.input_gradient(&gradient.to_contiguous()))]
    }
}

impl Operation<2> for Linear {
    type Saved = ();

    fn forward(&self, [input, residual]: [Primitive; 2], _: bool) -> (Primitive, Option<()>) {
        (self.compute(&input, Some(&residual.to_contiguous())), Some(()))
    }

    fn backward(&self, (): (), gradient: Primitive, [input, _]: [bool; 2]) -> [Option<Primitive>; 2] {
        let gradient = gradient.to_contiguous();
        [input.then(|| self.input_gradient(&gradient)), Some(gradient)]
    }
}
