//! What vision tower and text decoder share.

use ae_clip::Activation;
use ae_tensor::nn;
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::activation::{gelu, sigmoid};
use burn::tensor::{DType, Device, Tensor};

pub(super) fn new_norm(width: usize, epsilon: f64, device: &Device) -> LayerNorm {
    LayerNormConfig::new(width).with_epsilon(epsilon).init(device)
}

/// A layer normalisation in single precision whatever the type of `input`; `epsilon` is that of `norm`, which does not
/// tell.
///
/// # Shapes
/// - input and output: `[batch, sequence, width]`
pub(super) fn layer_norm(norm: &LayerNorm, epsilon: f64, input: Tensor<3>) -> Tensor<3> {
    // Bits, because the file's number is the constant or is not.
    if epsilon.to_bits() == nn::LAYER_NORM_EPSILON.to_bits() {
        return nn::layer_norm(norm, input);
    }
    let dtype = input.dtype();
    norm.forward(input.cast(DType::F32)).cast(dtype)
}

pub(super) fn activate(activation: Activation, x: Tensor<3>) -> Tensor<3> {
    match activation {
        Activation::QuickGelu => x.clone() * sigmoid(x * 1.702),
        Activation::Gelu => gelu(x),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{TensorData, Tolerance};

    use super::*;

    /// `torch.nn.functional.layer_norm(torch.tensor([0., 1e-3, 2e-3, 5e-3]), (4,), eps=eps)`
    #[test]
    fn a_norm_has_the_epsilon_it_was_made_with() {
        let device = Device::flex();
        let input = Tensor::<3>::from_data([[[0.0, 1e-3, 2e-3, 5e-3]]], &device);
        let cases = [
            (1e-12, [-1.069_044_7, -0.534_522_3, 0.0, 1.603_567_2_f32]),
            (1e-5, [-0.544_331, -0.272_165_48, 0.0, 0.816_496_6]),
        ];
        for (epsilon, expected) in cases {
            let output = layer_norm(&new_norm(4, epsilon, &device), epsilon, input.clone()).into_data();
            let expected = TensorData::new(expected.to_vec(), [1, 1, 4]);
            output.assert_approx_eq(&expected, Tolerance::<f32>::rel_abs(1e-4, 1e-5));
        }
    }
}
