use super::operation::{Input, Primitive, Stored, constant, run, sides, tensor, values};
use super::size;
use crate::nn::Conv2d;
use ae_kernels::{Conv2d as Kernel, PreparedWeights, add};
use burn::tensor::Tensor;
use std::sync::Arc;

/// A convolution of a feature map, plus a shift by channel and a residual.
pub(in crate::nn) fn conv2d(
    layer: &Conv2d,
    input: &Tensor<4>,
    shift: Option<&Tensor<1>>,
    residual: Option<&Tensor<4>>,
) -> Option<Tensor<4>> {
    let bias = match (&layer.bias, shift) {
        (Some(bias), Some(shift)) => {
            let sum = add(values(&constant(&bias.val())?), values(&constant(shift)?));
            Some(tensor(sum, shift.dims()))
        }
        (Some(bias), None) => Some(constant(&bias.val())?),
        (None, Some(shift)) => Some(constant(shift)?),
        (None, None) => None,
    };
    let weight = Stored::new(&layer.weight.val())?;
    // Where the stored weight has to be copied, its copy is another one each time.
    let prepared = if weight.values.is_contiguous() { layer.prepared.of(&weight) } else { None };
    let weight = weight.to_contiguous();
    let convolution = Convolution { weight, stride: layer.stride, padding: layer.padding, prepared };
    let (shape, has_residual, same) = (input.dims(), residual.is_some(), convolution.clone());
    let input = Input::new(input)?;
    if matches!(input, Input::Tracked(_)) && !convolution.has_gradient() {
        return None;
    }
    let forward = |[input, residual]: [Primitive; 2], _| {
        let (input, residual) = (input.to_contiguous(), has_residual.then(|| residual.to_contiguous()));
        let (kernel, bias) = (same.kernel(), bias.as_ref().map(values));
        let output = kernel.output(size(shape));
        let values = kernel.forward(values(&input), size(shape), bias, residual.as_ref().map(values));
        (tensor(values, [output.batch, output.rows, output.columns, kernel.outputs]), Some(()))
    };
    let backward = move |(), gradient: Primitive, [input, _]: [bool; 2]| {
        let gradient = gradient.to_contiguous();
        let by_input = || convolution.kernel().input_gradient(values(&gradient), size(shape));
        [input.then(|| tensor(by_input(), shape)), Some(gradient)]
    };
    Some(run([input, Input::optional(residual)?], forward, backward))
}

#[derive(Clone)]
struct Convolution {
    weight: Stored,
    stride: usize,
    padding: [usize; 4],
    prepared: Option<Arc<PreparedWeights>>,
}

impl Convolution {
    fn kernel(&self) -> Kernel<'_> {
        let [outputs, inputs, rows, columns] = sides(&self.weight.values);
        let Self { stride, padding, .. } = *self;
        let prepared = self.prepared.as_deref();
        Kernel { weight: self.weight.weights(), outputs, inputs, kernel: [rows, columns], stride, padding, prepared }
    }

    /// Whether the kernel stands in the middle of its padding, as that for the gradient expects.
    fn has_gradient(&self) -> bool {
        let [_, _, rows, columns] = sides(&self.weight.values);
        self.padding == [rows / 2, columns / 2, rows / 2, columns / 2]
    }
}
