use ae_clip::Activation;
use ae_tensor::nn::{LayerNorm, layer_norm, linear};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::blip::config::BlipTextConfig;

/// From hidden states to logits: transformers' `BlipTextOnlyMLMHead`.
#[derive(Module, Debug)]
pub(super) struct BlipTextOnlyMlmHead {
    predictions: BlipTextLmPredictionHead,
}

/// transformers' `BlipTextLMPredictionHead`. The bias that it holds beside the decoder's is the same one.
#[derive(Module, Debug)]
struct BlipTextLmPredictionHead {
    transform: BlipTextPredictionHeadTransform,
    decoder: Linear,
}

/// transformers' `BlipTextPredictionHeadTransform`.
#[derive(Module, Debug)]
struct BlipTextPredictionHeadTransform {
    dense: Linear,
    /// `LayerNorm` in transformers.
    layer_norm: LayerNorm,
    #[module(skip)]
    activation: Activation,
}

impl BlipTextOnlyMlmHead {
    pub(super) fn new(config: &BlipTextConfig, device: &Device) -> Self {
        let width = config.hidden_size;
        let transform = BlipTextPredictionHeadTransform {
            dense: LinearConfig::new(width, width).init(device),
            layer_norm: LayerNorm::new(width, config.layer_norm_eps, device),
            activation: config.hidden_act,
        };
        let decoder = LinearConfig::new(width, config.vocab_size).init(device);
        Self { predictions: BlipTextLmPredictionHead { transform, decoder } }
    }

    /// # Shapes
    /// - hidden_states: `[rows, sequence, hidden_size]`
    /// - output: `[rows, sequence, vocab_size]`
    pub(super) fn forward(&self, hidden_states: Tensor<3>) -> Tensor<3> {
        let BlipTextLmPredictionHead { transform, decoder } = &self.predictions;
        let hidden_states = transform.activation.apply(linear(&transform.dense, hidden_states, None));
        let hidden_states = layer_norm(&transform.layer_norm, hidden_states);
        linear(decoder, hidden_states, None)
    }
}
