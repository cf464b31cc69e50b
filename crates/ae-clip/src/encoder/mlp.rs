use ae_tensor::nn::linear;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
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
    /// - input, residual, output: `[batch, sequence, hidden_size]`
    pub(super) fn forward(&self, hidden_states: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        let hidden_states = linear(&self.fc1, hidden_states, None);
        linear(&self.fc2, self.activation.apply(hidden_states), Some(residual))
    }
}
