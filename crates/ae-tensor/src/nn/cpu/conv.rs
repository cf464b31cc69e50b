use std::sync::Arc;

use ae_kernels::{Conv2d as Kernel, PreparedWeights};
use burn::tensor::Tensor;

use super::operation::{Input, Operation, Primitive, constant, is_contiguous, run, sides, tensor, values};
use super::pictures;
use crate::nn::Conv2d;

/// A convolution of a feature map, plus a shift by channel and a residual.
pub(in crate::nn) fn conv2d(
    layer: &Conv2d,
    input: &Tensor<4>,
    shift: Option<&Tensor<1>>,
    residual: Option<&Tensor<4>>,
) -> Option<Tensor<4>> {
    let bias = match (&layer.bias, shift) {
        (Some(bias), Some(shift)) => Some(constant(bias.val() + shift.clone())?),
        (Some(bias), None) => Some(constant(bias.val())?),
        (None, Some(shift)) => Some(constant(shift.clone())?),
        (None, None) => None,
    };
    let stored = layer.weight.val();
    let weight = constant(stored.clone())?;
    // Where the stored weight had to be copied, its copy is another one each time.
    let prepared = if is_contiguous(stored) { layer.prepared.of(&weight) } else { None };
    let operation = Convolution { weight, bias, stride: layer.stride, padding: layer.padding, prepared };
    let input = Input::new(input.clone())?;
    if matches!(input, Input::Tracked(_)) && !operation.has_gradient() {
        return None;
    }
    Some(match residual {
        Some(residual) => run::<_, 2, 4>(&operation, [input, Input::new(residual.clone())?]),
        None => run::<_, 1, 4>(&operation, [input]),
    })
}

#[derive(Clone, Debug)]
struct Convolution {
    weight: Primitive,
    /// With the shift.
    bias: Option<Primitive>,
    stride: usize,
    padding: [usize; 4],
    prepared: Option<Arc<PreparedWeights>>,
}

impl Convolution {
    fn kernel(&self) -> Kernel<'_> {
        let [outputs, inputs, rows, columns] = sides(&self.weight);
        let Self { stride, padding, .. } = *self;
        let prepared = self.prepared.as_deref();
        Kernel { weight: values(&self.weight), outputs, inputs, kernel: [rows, columns], stride, padding, prepared }
    }

    /// Whether the kernel stands in the middle of its padding, as that for the gradient expects.
    fn has_gradient(&self) -> bool {
        let [_, _, rows, columns] = sides(&self.weight);
        self.padding == [rows / 2, columns / 2, rows / 2, columns / 2]
    }

    fn compute(&self, input: &Primitive, residual: Option<&Primitive>) -> Primitive {
        let input = input.to_contiguous();
        let (kernel, size) = (self.kernel(), pictures(&input));
        let output = kernel.output(size);
        let bias = self.bias.as_ref().map(values);
        let values = kernel.forward(values(&input), size, bias, residual.map(values));
        tensor(values, [output.batch, output.rows, output.columns, kernel.outputs])
    }

    fn input_gradient(&self, gradient: &Primitive, shape: [usize; 4]) -> Primitive {
        tensor(self.kernel().input_gradient(values(gradient), super::size(shape)), shape)
    }
}

impl Operation<1> for Convolution {
    type Saved = [usize; 4];

    fn forward(&self, [input]: [Primitive; 1], _: bool) -> (Primitive, Option<[usize; 4]>) {
        (self.compute(&input, None), Some(sides(&input)))
    }

    fn backward(&self, shape: [usize; 4], gradient: Primitive, _: [bool; 1]) -> [Option<Primitive>; 1] {
        [Some(self.input_gradient(&gradient.to_contiguous(), shape))]
    }
}

impl Operation<2> for Convolution {
    type Saved = [usize; 4];

    fn forward(&self, [input, residual]: [Primitive; 2], _: bool) -> (Primitive, Option<[usize; 4]>) {
        (self.compute(&input, Some(&residual.to_contiguous())), Some(sides(&input)))
    }

    fn backward(&self, shape: [usize; 4], gradient: Primitive, [input, _]: [bool; 2]) -> [Option<Primitive>; 2] {
        let gradient = gradient.to_contiguous();
        [input.then(|| self.input_gradient(&gradient, shape)), Some(gradient)]
    }
}
