use burn::nn::GroupNorm;
use burn::tensor::Tensor;

use super::activations::silu;
use super::layout::{channels_first, channels_last};
use super::precision::in_f32;

/// What follows a normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `x * sigmoid(x)`
    Silu,
}

/// A group normalisation of a feature map and its activation, computed in single precision whatever the type of the input;
/// its parameters are single precision always (see [`load_weights`](crate::load_weights)).
///
/// # Shapes
/// - input and output: `[batch, rows, columns, channels]`
pub fn group_norm(norm: &GroupNorm, input: Tensor<4>, activation: Activation) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if let Some(output) = super::cpu::group_norm(norm, &input, activation) {
        return output;
    }
    let normed = channels_last(in_f32(channels_first(input), |input| in_parts(norm, input)));
    match activation {
        Activation::None => normed,
        Activation::Silu => silu(normed),
    }
}

/// The means are formed in parts. A group of the VAE has millions of values and there are few groups: a GPU that gives
/// each to one thread is slow, adds with errors of 6e-5 (a million values on SwiftShader), and in Mesa's lavapipe stops
/// after 65 535 turns of its loop, with nonsense as the result (see `docs/gpu.md`).
fn in_parts(norm: &GroupNorm, input: Tensor<4>) -> Tensor<4> {
    let shape = input.dims();
    let (batch, channels, pixels) = (shape[0], shape[1], shape[2..].iter().product::<usize>());
    let groups: Tensor<3> = input.reshape([batch, norm.num_groups, channels / norm.num_groups * pixels]);
    let centred = groups.clone() - mean_in_parts(groups);
    let variance = mean_in_parts(centred.clone().square());
    let mut output = (centred / (variance + norm.epsilon).sqrt()).reshape([batch, channels, pixels]);
    if let Some(gamma) = &norm.gamma {
        output = output * gamma.val().reshape([1, channels, 1]);
    }
    if let Some(beta) = &norm.beta {
        output = output + beta.val().reshape([1, channels, 1]);
    }
    output.reshape(shape)
}

/// The means over the last dimension.
///
/// # Shapes
/// - values: `[batch, rows, values]`
/// - output: `[batch, rows, 1]`
fn mean_in_parts(values: Tensor<3>) -> Tensor<3> {
    /// Values that one thread adds without harm.
    const MOST: usize = 8192;
    let [batch, rows, count] = values.dims();
    let mut part = count;
    while part > MOST && part.is_multiple_of(2) {
        part /= 2;
    }
    if part == count {
        return values.mean_dim(2);
    }
    let means = values.reshape([batch * rows, count / part, part]).mean_dim(2);
    means.reshape([batch, rows, count / part]).mean_dim(2)
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::nn::GroupNormConfig;
    use burn::tensor::{DType, Device, Distribution, Tolerance};

    use super::*;

    fn random<const D: usize>(shape: [usize; D], deviation: f64) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(3.0, deviation), &Device::flex())
    }

    #[test]
    fn it_is_that_of_burn_by_the_kernel_and_whatever_the_number_of_parts() {
        let device = Device::flex();
        let norm = GroupNormConfig::new(2, 4).with_epsilon(1e-6).init(&device);
        // One part, two, many with a remainder that is odd.
        for side in [8, 128, 3 * 96] {
            let input = random([2, 4, side, side], 2.0);
            let expected = norm.forward(input.clone());
            let tolerance = Tolerance::<f32>::rel_abs(1e-4, 1e-5);
            in_parts(&norm, input.clone()).into_data().assert_approx_eq(&expected.to_data(), tolerance);
            for (activation, expected) in [(Activation::None, expected.clone()), (Activation::Silu, silu(expected))] {
                let output = channels_first(group_norm(&norm, channels_last(input.clone()), activation));
                output.into_data().assert_approx_eq(&expected.into_data(), tolerance);
            }
        }
    }

    #[test]
    fn large_activations_stay_finite_in_half_precision() {
        let norm = GroupNormConfig::new(2, 4).init(&Device::flex());
        let input = random([1, 8, 8, 4], 5000.0).cast(DType::F16);
        let expected = group_norm(&norm, input.clone().cast(DType::F32), Activation::None).into_data();
        let output = group_norm(&norm, input, Activation::None).cast(DType::F32).into_data();
        output.assert_approx_eq(&expected, Tolerance::<f32>::rel_abs(1e-3, 1e-3));
    }
}
