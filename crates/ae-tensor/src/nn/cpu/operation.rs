//! Operations of the CPU backend with a backward pass of their own.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::tensor::{DType, Tensor, TensorData};

/// A tensor of the CPU backend, in single precision.
pub(super) type Primitive = FloatTensor<Flex>;

/// A function of one or more tensors; whatever else it needs is a constant of it.
pub(super) trait Operation<const N: usize>: Clone + Send + std::fmt::Debug + 'static {
    /// What the backward pass needs of the forward pass.
    type Saved: Clone + Send + std::fmt::Debug + 'static;

    /// The output, for a backward pass (`tracked`) with what that needs.
    fn forward(&self, inputs: [Primitive; N], tracked: bool) -> (Primitive, Option<Self::Saved>);

    /// The gradients by the inputs that are `wanted`, from that by the output.
    fn backward(&self, saved: Self::Saved, gradient: Primitive, wanted: [bool; N]) -> [Option<Primitive>; N];
}

/// A tensor whose number of dimensions does not matter.
pub(super) enum Input {
    Plain(Primitive),
    Tracked(FloatTensor<Autodiff<Flex>>),
}

impl Input {
    /// None where the tensor is on another device, or in another type.
    pub(super) fn new<const D: usize>(tensor: Tensor<D>) -> Option<Self> {
        if tensor.dtype() != DType::F32 {
            return None;
        }
        if tensor.is_autodiff() {
            tensor.try_into_primitive::<Autodiff<Flex>>().ok().map(Self::Tracked)
        } else {
            tensor.try_into_primitive::<Flex>().ok().map(Self::Plain)
        }
    }
}

/// A weight; none where it is on another device, in another type, or learns.
pub(super) fn constant<const D: usize>(tensor: Tensor<D>) -> Option<Primitive> {
    match Input::new(tensor)? {
        Input::Plain(tensor) => Some(tensor.to_contiguous()),
        Input::Tracked(_) => None,
    }
}

/// Runs an operation, and registers its backward pass where an input is tracked.
pub(super) fn run<O: Operation<N>, const N: usize, const D: usize>(operation: &O, inputs: [Input; N]) -> Tensor<D> {
    if inputs.iter().all(|input| matches!(input, Input::Plain(_))) {
        let inputs = inputs.map(|input| match input {
            Input::Plain(tensor) => tensor,
            Input::Tracked(tensor) => tensor.into_primitive(),
        });
        return Tensor::from_primitive::<Flex>(operation.forward(inputs, false).0);
    }
    let inputs = inputs.map(|input| match input {
        Input::Plain(tensor) => FloatTensor::<Autodiff<Flex>>::new(tensor),
        Input::Tracked(tensor) => tensor,
    });
    let nodes = inputs.each_ref().map(FloatTensor::<Autodiff<Flex>>::node);
    let primitives =
        |inputs: [FloatTensor<Autodiff<Flex>>; N]| inputs.map(FloatTensor::<Autodiff<Flex>>::into_primitive);
    let output = match Step(operation.clone()).prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let (output, saved) = operation.forward(primitives(inputs), true);
            prep.finish(saved.expect("asked for"), output)
        }
        OpsKind::UnTracked(prep) => prep.finish(operation.forward(primitives(inputs), false).0),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(output)
}

/// An operation on the way back.
#[derive(Clone, Debug)]
struct Step<O>(O);

impl<O: Operation<N>, const N: usize> Backward<Flex, N> for Step<O> {
    type State = O::Saved;

    fn backward(self, ops: Ops<O::Saved, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let gradients = self.0.backward(ops.state, gradient, wanted);
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

/// A tensor of elements in their order.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<Vec<usize>>) -> Primitive {
    Primitive::from_data(TensorData::new(values, shape.into()))
}

/// The sides of a tensor of as many dimensions.
pub(super) fn sides<const D: usize>(tensor: &Primitive) -> [usize; D] {
    tensor.shape().dims()
}

/// Whether a plain tensor of the CPU lies in its order.
pub(super) fn is_contiguous<const D: usize>(tensor: Tensor<D>) -> bool {
    matches!(Input::new(tensor), Some(Input::Plain(tensor)) if tensor.is_contiguous())
}
