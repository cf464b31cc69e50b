use ae_clip::Activation;
use ae_tensor::nn::linear;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::attention::{BlipTextAttention, BlipTextSelfOutput};
use super::cache::{KeysAndValues, LayerCache};
use crate::blip::config::BlipTextConfig;

/// Attention to the tokens, attention to the picture, feed-forward: transformers' `BlipTextLayer`.
#[derive(Module, Debug)]
pub(super) struct BlipTextLayer {
    attention: BlipTextAttention,
    crossattention: BlipTextAttention,
    intermediate: BlipTextIntermediate,
    output: BlipTextSelfOutput,
}

/// transformers' `BlipTextIntermediate`.
#[derive(Module, Debug)]
struct BlipTextIntermediate {
    dense: Linear,
    #[module(skip)]
    activation: Activation,
}

impl BlipTextLayer {
    pub(super) fn new(config: &BlipTextConfig, encoder_hidden_size: usize, device: &Device) -> Self {
        Self {
            attention: BlipTextAttention::new(config, config.hidden_size, device),
            crossattention: BlipTextAttention::new(config, encoder_hidden_size, device),
            intermediate: BlipTextIntermediate {
                dense: LinearConfig::new(config.hidden_size, config.intermediate_size).init(device),
                activation: config.hidden_act,
            },
            output: BlipTextSelfOutput::new(config, config.intermediate_size, device),
        }
    }

    /// The keys and values of pictures.
    ///
    /// # Shapes
    /// - image_embeds: `[pictures, positions, encoder_hidden_size]`
    pub(super) fn look_at(&self, image_embeds: Tensor<3>) -> KeysAndValues {
        self.crossattention.keys_and_values(image_embeds)
    }

    /// # Shapes
    /// - hidden_states, output: `[rows, sequence, hidden_size]`
    pub(super) fn forward(&self, hidden_states: Tensor<3>, cache: &mut LayerCache) -> Tensor<3> {
        let tokens = cache.append(self.attention.keys_and_values(hidden_states.clone()));
        let hidden_states = self.attention.to_tokens(hidden_states, tokens);
        let hidden_states = self.crossattention.to_pictures(hidden_states, cache.pictures());
        let Self { intermediate, output, .. } = self;
        let inner = linear(&intermediate.dense, hidden_states.clone(), None);
        output.forward(intermediate.activation.apply(inner), hidden_states)
    }
}
