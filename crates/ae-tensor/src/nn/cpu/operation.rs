//! Operations of the CPU backend with a backward pass of their own.

use std::borrow::Cow;

use ae_kernels::{Int8, WeightOrder, Weights};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, BackendTensor, DispatchKindConversion, DispatchTensor, Flex, TensorMetadata};
use burn::tensor::{DType, Tensor, TensorData, bf16, f16};

use crate::device::look_up;
use crate::quantized::scales;

/// A tensor of the CPU backend; where nothing else is said in single precision.
pub(super) type Primitive = FloatTensor<Flex>;

/// A tensor whose number of dimensions does not matter.
pub(super) enum Input {
    Plain(Primitive),
    Tracked(FloatTensor<Autodiff<Flex>>),
}

impl Input {
    /// None where the tensor is on another device, or in another type.
    pub(super) fn new<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        if tensor.dtype() == DType::F32 { Self::of_any_type(tensor) } else { None }
    }

    fn of_any_type<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        let tensor = tensor.clone();
        if tensor.is_autodiff() {
            tensor.try_into_primitive::<Autodiff<Flex>>().ok().map(Self::Tracked)
        } else {
            tensor.try_into_primitive::<Flex>().ok().map(Self::Plain)
        }
    }

    /// What does not learn any more.
    fn learned(self) -> Option<Primitive> {
        match self {
            Self::Plain(tensor) => Some(tensor),
            Self::Tracked(_) => None,
        }
    }

    /// The same of an input that may be left out: what stands for it has no elements and no gradient.
    pub(super) fn optional<const D: usize>(input: Option<&Tensor<D>>) -> Option<Self> {
        input.map_or_else(|| Some(Self::Plain(tensor(Vec::new(), [0]))), Self::new)
    }
}

/// A parameter in single precision; none where it is on another device, in another type, or learns.
pub(super) fn constant<const D: usize>(tensor: &Tensor<D>) -> Option<Primitive> {
    Input::new(tensor)?.learned().map(|tensor| tensor.to_contiguous())
}

/// The weights of a layer in the type that they are kept in.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) values: Primitive,
    /// Of quantised weights, one for each output.
    scales: Vec<f32>,
}

impl Stored {
    /// None where they are on another device, or learn.
    pub(super) fn new<const D: usize>(weights: &Tensor<D>) -> Option<Self> {
        match weights.dtype() {
            DType::F32 | DType::F16 | DType::BF16 => {
                Some(Self { values: Input::of_any_type(weights)?.learned()?, scales: Vec::new() })
            }
            DType::QFloat(_) => {
                let on_cpu: Result<BackendTensor<Flex>, _> =
                    DispatchTensor::try_into_backend(weights.clone().into_dispatch());
                let BackendTensor::Quantized(weights) = on_cpu.ok()? else { return None };
                let scales = scales::<D>(weights.scales(), weights.shape().dims());
                Some(Self { values: weights.tensor().clone(), scales })
            }
            _ => None,
        }
    }

    /// The same in their order.
    pub(super) fn in_order(self) -> Self {
        Self { values: self.values.to_contiguous(), ..self }
    }

    /// As kernels take them: of a linear layer `[inputs, outputs]`, of a convolution `[outputs, ..]`.
    pub(super) fn weights(&self) -> Weights<'_> {
        let Self { values, scales } = self;
        match values.dtype() {
            DType::F16 => values.as_slice::<f16>().expect("contiguous").into(),
            DType::BF16 => values.as_slice::<bf16>().expect("contiguous").into(),
            DType::I8 => {
                let order =
                    if values.shape().num_dims() == 2 { WeightOrder::InputsFirst } else { WeightOrder::OutputsFirst };
                Weights::Int8(Int8 { values: values.as_slice().expect("contiguous"), scales, order })
            }
            _ => self::values(values).into(),
        }
    }
}

/// Runs an operation, and registers its backward pass where an input is tracked.
///
/// `forward` gives the output, and where its second argument says so what `backward` needs; that gives the gradients by the
/// inputs that are wanted, from that by the output.
pub(super) fn run<S: Clone + Send + std::fmt::Debug + 'static, const N: usize, const D: usize>(
    inputs: [Input; N],
    forward: impl FnOnce([Primitive; N], bool) -> (Primitive, Option<S>),
    backward: impl FnOnce(S, Primitive, [bool; N]) -> [Option<Primitive>; N] + Send + 'static,
) -> Tensor<D> {
    look_up();
    if inputs.iter().all(|input| matches!(input, Input::Plain(_))) {
        let inputs = inputs.map(|input| match input {
            Input::Plain(tensor) => tensor,
            Input::Tracked(tensor) => tensor.into_primitive(),
        });
        return Tensor::from_primitive::<Flex>(forward(inputs, false).0);
    }
    let inputs = inputs.map(|input| match input {
        Input::Plain(tensor) => FloatTensor::<Autodiff<Flex>>::new(tensor),
        Input::Tracked(tensor) => tensor,
    });
    let nodes = inputs.each_ref().map(FloatTensor::<Autodiff<Flex>>::node);
    let primitives =
        |inputs: [FloatTensor<Autodiff<Flex>>; N]| inputs.map(FloatTensor::<Autodiff<Flex>>::into_primitive);
    let output = match Step(Box::new(backward)).prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let (output, saved) = forward(primitives(inputs), true);
            prep.finish(saved.expect("asked for"), output)
        }
        OpsKind::UnTracked(prep) => prep.finish(forward(primitives(inputs), false).0),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(output)
}

/// Gives the gradients by the inputs that are wanted.
type BackwardFn<S, const N: usize> = dyn FnOnce(S, Primitive, [bool; N]) -> [Option<Primitive>; N] + Send;

/// An operation on the way back.
struct Step<S, const N: usize>(Box<BackwardFn<S, N>>);

impl<S, const N: usize> std::fmt::Debug for Step<S, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Step")
    }
}

impl<S: Clone + Send + std::fmt::Debug + 'static, const N: usize> Backward<Flex, N> for Step<S, N> {
    type State = S;
    fn backward(self, ops: Ops<S, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        look_up();
        let gradient = grads.consume::<Flex>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let gradients = (self.0)(ops.state, gradient, wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

/// The elements of a tensor that lies in their order.
pub(super) fn values(tensor: &Primitive) -> &[f32] {
    tensor.as_slice().expect("single precision, contiguous")
}

/// The elements of a tensor in their order; owned, and no longer its own, where nobody else holds them.
pub(super) fn elements(tensor: &mut Primitive) -> Cow<'_, [f32]> {
    if tensor.is_unique() {
        let tensor = std::mem::replace(tensor, self::tensor(Vec::new(), [0]));
        return Cow::Owned(tensor.into_data().try_into_vec().expect("single precision"));
    }
    *tensor = tensor.to_contiguous();
    Cow::Borrowed(values(tensor))
}

/// A tensor of elements in their order.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<Vec<usize>>) -> Primitive {
    Primitive::from_data(TensorData::new(values, shape.into()))
}

/// The sides of a tensor of as many dimensions.
pub(super) fn sides<const D: usize>(tensor: &Primitive) -> [usize; D] {
    tensor.shape().dims()
}
