use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::{gelu, sigmoid};
use burn::tensor::{Device, Tensor};

use super::ClipEncoderConfig;
use crate::config::Activation;

/// The feed-forward block: transformers' `CLIPMLP`.
#[derive(Module, Debug)]
pub(super) struct ClipMlp {
    fc1: Linear,
    fc2: Linear,
    #[module(skip)]
    activation: Activation,
}

impl ClipMlp {
    pub(super) fn new(config: &ClipEncoderConfig, device: &Device) -> Self {
        Self {
            fc1: LinearConfig::new(config.hidden_size, config.intermediate_size).init(device),
            fc2: LinearConfig::new(config.intermediate_size, config.hidden_size).init(device),
            activation: config.hidden_act,
        }
    }

    /// # Shapes
    /// - input, output: `[batch, sequence, hidden_size]`
    pub(super) fn forward(&self, hidden_states: Tensor<3>) -> Tensor<3> {
        let hidden_states = self.fc1.forward(hidden_states);
        self.fc2.forward(activate(self.activation, hidden_states))
    }
}

fn activate(activation: Activation, x: Tensor<3>) -> Tensor<3> {
    match activation {
        Activation::QuickGelu => x.clone() * sigmoid(x * 1.702),
        Activation::Gelu => gelu(x),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{TensorData, Tolerance};

    use super::*;

    /// ```python
    /// x = torch.tensor([-3.0, -1.0, 0.0, 0.5, 2.0])
    /// transformers.activations.ACT2FN["quick_gelu"](x), ACT2FN["gelu"](x)
    /// ```
    // gelu(-3) cancels in float32: torch itself is 5e-7 off the exact -0.00404969.
    #[test]
    fn activations_equal_transformers() {
        let x = Tensor::<3>::from_data([[[-3.0, -1.0, 0.0, 0.5, 2.0]]], &Device::flex());
        let expected = [
            (Activation::QuickGelu, [-0.018_071_31, -0.154_204_23, 0.0, 0.350_388_44, 1.935_658_6]),
            (Activation::Gelu, [-0.004_050_225, -0.158_655_26, 0.0, 0.345_731_23, 1.954_499_7_f32]),
        ];
        for (activation, values) in expected {
            let values = TensorData::new(values.to_vec(), [1, 1, 5]);
            let actual = activate(activation, x.clone()).into_data();
            actual.assert_approx_eq(&values, Tolerance::<f32>::rel_abs(1e-6, 1e-6));
        }
    }
}
