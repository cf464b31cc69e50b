use ae_kernels::{GroupNorm as Kernel, Statistics, layer_norm as kernel, layer_norm_gradient};
use burn::nn;
use burn::tensor::Tensor;

use super::operation::{Input, Operation, Primitive, constant, run, sides, tensor, values};
use super::pictures;
use crate::nn::Activation;

/// A group normalisation of a feature map.
pub(in crate::nn) fn group_norm(layer: &nn::GroupNorm, input: &Tensor<4>, activation: Activation) -> Option<Tensor<4>> {
    let operation = GroupNorm {
        gamma: constant(layer.gamma.as_ref()?.val())?,
        beta: constant(layer.beta.as_ref()?.val())?,
        groups: layer.num_groups,
        epsilon: layer.epsilon,
        silu: activation == Activation::Silu,
    };
    Some(run(&operation, [Input::new(input.clone())?]))
}

#[derive(Clone, Debug)]
struct GroupNorm {
    gamma: Primitive,
    beta: Primitive,
    groups: usize,
    epsilon: f64,
    silu: bool,
}

impl GroupNorm {
    fn kernel(&self) -> Kernel<'_> {
        let Self { gamma, beta, groups, epsilon, silu } = self;
        Kernel { gamma: values(gamma), beta: values(beta), groups: *groups, epsilon: *epsilon, silu: *silu }
    }
}

impl Operation<1> for GroupNorm {
    type Saved = (Primitive, Statistics);

    fn forward(&self, [input]: [Primitive; 1], _: bool) -> (Primitive, Option<Self::Saved>) {
        let input = input.to_contiguous();
        let (kernel, size) = (self.kernel(), pictures(&input));
        let statistics = kernel.statistics(values(&input), size);
        let output = kernel.forward(values(&input), size, &statistics);
        (tensor(output, sides::<4>(&input)), Some((input, statistics)))
    }

    fn backward(&self, (input, statistics): Self::Saved, gradient: Primitive, _: [bool; 1]) -> [Option<Primitive>; 1] {
        let gradient = gradient.to_contiguous();
        let output = self.kernel().input_gradient(values(&input), pictures(&input), &statistics, values(&gradient));
        [Some(tensor(output, sides::<4>(&input)))]
    }
}

/// A layer normalisation of rows.
pub(in crate::nn) fn layer_norm(layer: &crate::nn::LayerNorm, input: &Tensor<3>) -> Option<Tensor<3>> {
    let operation = LayerNorm {
        gamma: constant(layer.gamma.val())?,
        beta: constant(layer.beta.val())?,
        epsilon: layer.epsilon as f32,
    };
    Some(run(&operation, [Input::new(input.clone())?]))
}

#[derive(Clone, Debug)]
struct LayerNorm {
    gamma: Primitive,
    beta: Primitive,
    epsilon: f32,
}

impl Operation<1> for LayerNorm {
    type Saved = Primitive;

    fn forward(&self, [input]: [Primitive; 1], _: bool) -> (Primitive, Option<Primitive>) {
        let input = input.to_contiguous();
        let output = kernel(values(&input), values(&self.gamma), values(&self.beta), self.epsilon);
        (tensor(output, sides::<3>(&input)), Some(input))
    }

    fn backward(&self, input: Primitive, gradient: Primitive, _: [bool; 1]) -> [Option<Primitive>; 1] {
        let gradient = gradient.to_contiguous();
        let output = layer_norm_gradient(values(&input), values(&self.gamma), self.epsilon, values(&gradient));
        [Some(tensor(output, sides::<3>(&input)))]
    }
}
