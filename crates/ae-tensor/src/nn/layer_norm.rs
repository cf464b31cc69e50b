use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor, module};

use super::precision::in_f32;

/// A layer normalisation with the parameters of torch's and burn's `LayerNorm`, and its own epsilon: burn's does not tell
/// it, and the CPU's kernel must know.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// `[width]`
    pub(super) gamma: Param<Tensor<1>>,
    /// `[width]`
    pub(super) beta: Param<Tensor<1>>,
    pub(super) epsilon: f64,
}

impl LayerNorm {
    /// A normalisation of rows of `width`; `epsilon` is added to their variance.
    pub fn new(width: usize, epsilon: f64, device: &Device) -> Self {
        let (gamma, beta) = (Initializer::Ones.init([width], device), Initializer::Zeros.init([width], device));
        Self { gamma, beta, epsilon }
    }
}

/// A layer normalisation of rows, computed in single precision like [`group_norm`](super::group_norm()).
///
/// # Shapes
/// - input and output: `[batch, rows, width]`
pub fn layer_norm(norm: &LayerNorm, input: Tensor<3>) -> Tensor<3> {
    #[cfg(feature = "cpu")]
    if let Some(output) = super::cpu::layer_norm(norm, &input) {
        return output;
    }
    in_f32(input, |input| module::layer_norm(input, norm.gamma.val(), Some(norm.beta.val()), norm.epsilon))
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::tensor::{DType, TensorData, Tolerance};

    use super::*;

    /// `torch.nn.functional.layer_norm(torch.tensor([0., 1e-3, 2e-3, 5e-3]), (4,), eps=eps)`
    #[test]
    fn a_norm_has_the_epsilon_it_was_made_with() {
        let input = Tensor::<3>::from_data([[[0.0, 1e-3, 2e-3, 5e-3]]], &Device::flex());
        let cases = [
            (1e-12, [-1.069_044_7, -0.534_522_3, 0.0, 1.603_567_2_f32]),
            (1e-5, [-0.544_331, -0.272_165_48, 0.0, 0.816_496_6]),
            (1e-3, [-0.063_134_5, -0.031_567_25, 0.0, 0.094_701_75]),
        ];
        for (epsilon, expected) in cases {
            let norm = LayerNorm::new(4, epsilon, &input.device());
            let expected = TensorData::new(expected.to_vec(), [1, 1, 4]);
            let output = layer_norm(&norm, input.clone()).into_data();
            output.assert_approx_eq(&expected, Tolerance::<f32>::rel_abs(1e-4, 1e-5));
            // Half precision takes burn's way.
            let output = layer_norm(&norm, input.clone().cast(DType::BF16)).cast(DType::F32).into_data();
            output.assert_approx_eq(&expected, Tolerance::<f32>::rel_abs(2e-2, 1e-2));
        }
    }
}
