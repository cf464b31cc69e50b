use super::operation::{Input, Primitive, constant, run, tensor, values};
use super::size;
use crate::nn::Activation;
use ae_kernels::{GroupNorm as Kernel, layer_norm as kernel, layer_norm_gradient};
use burn::nn;
use burn::tensor::Tensor;

/// A group normalisation of a feature map.
pub(in crate::nn) fn group_norm(layer: &nn::GroupNorm, input: &Tensor<4>, activation: Activation) -> Option<Tensor<4>> {
    let operation = GroupNorm::new(layer, activation)?;
    let (shape, same) = (input.dims(), operation.clone());
    let forward = |[input]: [Primitive; 1], _| {
        let input = input.to_contiguous();
        let kernel = same.kernel();
        let statistics = kernel.statistics(values(&input), size(shape));
        let output = kernel.forward(values(&input), size(shape), &statistics);
        (tensor(output, shape), Some((input, statistics)))
    };
    let backward = move |(input, statistics): (Primitive, _), gradient: Primitive, _| {
        let gradient = gradient.to_contiguous();
        let output = operation.kernel().input_gradient(values(&input), size(shape), &statistics, values(&gradient));
        [Some(tensor(output, shape))]
    };
    Some(run([Input::new(input)?], forward, backward))
}

#[derive(Clone)]
pub(super) struct GroupNorm {
    gamma: Primitive,
    beta: Primitive,
    groups: usize,
    epsilon: f64,
    silu: bool,
}

impl GroupNorm {
    pub(super) fn new(layer: &nn::GroupNorm, activation: Activation) -> Option<Self> {
        Some(Self {
            gamma: constant(&layer.gamma.as_ref()?.val())?,
            beta: constant(&layer.beta.as_ref()?.val())?,
            groups: layer.num_groups,
            epsilon: layer.epsilon,
            silu: activation == Activation::Silu,
        })
    }

    pub(super) fn kernel(&self) -> Kernel<'_> {
        let Self { gamma, beta, groups, epsilon, silu } = self;
        Kernel { gamma: values(gamma), beta: values(beta), groups: *groups, epsilon: *epsilon, silu: *silu }
    }
}

/// A layer normalisation of rows.
pub(in crate::nn) fn layer_norm(layer: &crate::nn::LayerNorm, input: &Tensor<3>) -> Option<Tensor<3>> {
    let [gamma, beta] = [constant(&layer.gamma.val())?, constant(&layer.beta.val())?];
    let (shape, epsilon, gamma_again) = (input.dims(), layer.epsilon as f32, gamma.clone());
    let forward = |[input]: [Primitive; 1], _| {
        let input = input.to_contiguous();
        (tensor(kernel(values(&input), values(&gamma_again), values(&beta), epsilon), shape), Some(input))
    };
    let backward = move |input: Primitive, gradient: Primitive, _| {
        let gradient = gradient.to_contiguous();
        [Some(tensor(layer_norm_gradient(values(&input), values(&gamma), epsilon, values(&gradient)), shape))]
    };
    Some(run([Input::new(input)?], forward, backward))
}
