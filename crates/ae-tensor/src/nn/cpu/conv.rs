use super::norms::GroupNorm;
use super::operation::{Input, Primitive, Stored, constant, elements, run, sides, tensor, values};
use super::size;
use crate::nn::conv::Before;
use crate::nn::{Activation, Conv2d};
use ae_kernels::{Conv2d as Kernel, Enlargement, Pictures, PreparedWeights, Source, Statistics, add};
use burn::tensor::Tensor;
use std::borrow::Cow;
use std::sync::Arc;

/// A convolution of what a layer before it gives, plus a shift by channel and a residual.
///
/// The operation is not run before it is called: until then the caller can drop the inputs.
pub(in crate::nn) fn conv2d(
    layer: &Conv2d,
    before: Before<'_>,
    input: &Tensor<4>,
    shift: Option<&Tensor<1>>,
    residual: Option<&Tensor<4>>,
) -> Option<impl FnOnce() -> Tensor<4> + use<>> {
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
    let weight = weight.in_order();
    let convolution = Convolution { weight, stride: layer.stride, padding: layer.padding, prepared };
    let shape = input.dims();
    let before = Prior::new(before, shape)?;
    let (has_residual, same, same_before) = (residual.is_some(), convolution.clone(), before.clone());
    let (input, residual) = (Input::new(input)?, Input::optional(residual)?);
    if matches!(input, Input::Tracked(_)) && !convolution.has_gradient() {
        return None;
    }
    let forward = move |[input, mut residual]: [Primitive; 2], _| {
        let (kernel, bias) = (same.kernel(), bias.as_ref().map(values));
        let size = same_before.output(shape);
        let output = kernel.output(size);
        let residual = has_residual.then(|| elements(&mut residual));
        let (values, saved) = same_before.forward(&kernel, input, size, bias, residual);
        (tensor(values, [output.batch, output.rows, output.columns, kernel.outputs]), Some(saved))
    };
    let backward = move |saved, gradient: Primitive, [input, _]: [bool; 2]| {
        let gradient = gradient.to_contiguous();
        let by_output = || convolution.kernel().input_gradient(values(&gradient), before.output(shape));
        [input.then(|| tensor(before.input_gradient(by_output(), shape, saved), shape)), Some(gradient)]
    };
    Some(move || run([input, residual], forward, backward))
}

/// The layer before a convolution.
#[derive(Clone)]
enum Prior {
    Nothing,
    Norm(Box<GroupNorm>),
    Enlargement(Enlargement),
}

/// Input and statistics of a normalisation.
type Saved = Option<(Primitive, Statistics)>;

impl Prior {
    fn new(before: Before<'_>, shape: [usize; 4]) -> Option<Self> {
        Some(match before {
            Before::Nothing => Self::Nothing,
            Before::Norm(norm) => Self::Norm(Box::new(GroupNorm::new(norm, Activation::Silu)?)),
            Before::Enlargement([rows, columns]) => {
                Self::Enlargement(Enlargement { from: size(shape), rows, columns, channels: shape[3] })
            }
        })
    }

    /// The size of the layer's output.
    fn output(&self, shape: [usize; 4]) -> Pictures {
        match *self {
            Self::Enlargement(Enlargement { from: Pictures { batch, .. }, rows, columns, .. }) => {
                Pictures { batch, rows, columns }
            }
            Self::Nothing | Self::Norm(_) => size(shape),
        }
    }

    /// The convolution of the layer's output, of `size`, and what [`input_gradient`](Self::input_gradient) needs.
    fn forward(
        &self,
        kernel: &Kernel<'_>,
        mut input: Primitive,
        size: Pictures,
        bias: Option<&[f32]>,
        residual: Option<Cow<'_, [f32]>>,
    ) -> (Vec<f32>, Saved) {
        match self {
            Self::Nothing => match elements(&mut input) {
                Cow::Owned(input) if residual.is_none() => (kernel.forward_owned(input, size, bias), None),
                input => (kernel.forward_from(Source::Map(&input), size, bias, residual), None),
            },
            Self::Norm(norm) => {
                let (input, norm) = (input.to_contiguous(), norm.kernel());
                let statistics = norm.statistics(values(&input), size);
                let source = Source::Normed { map: values(&input), norm, statistics: &statistics };
                (kernel.forward_from(source, size, bias, residual), Some((input, statistics)))
            }
            Self::Enlargement(enlargement) => {
                let source = Source::Enlarged { map: &elements(&mut input), enlargement: *enlargement };
                (kernel.forward_from(source, size, bias, residual), None)
            }
        }
    }

    /// The gradient by the layer's input, from that by its output.
    fn input_gradient(&self, by_output: Vec<f32>, shape: [usize; 4], saved: Saved) -> Vec<f32> {
        match (self, saved) {
            (Self::Norm(norm), Some((input, statistics))) => {
                norm.kernel().input_gradient(values(&input), size(shape), &statistics, &by_output)
            }
            (Self::Enlargement(enlargement), _) => enlargement.input_gradient(&by_output),
            (Self::Nothing | Self::Norm(_), _) => by_output,
        }
    }
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
