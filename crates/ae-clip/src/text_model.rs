mod attention;
mod embeddings;
mod encoder;
mod mlp;

use ae_tensor::{CheckpointError, FloatType, KeyRules, Weights, load_weights};
use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::config::ClipTextModelConfig;
use embeddings::ClipTextEmbeddings;
use encoder::ClipEncoder;

/// transformers 4 wraps the model in `text_model`, transformers 5 does not. The position ids are a constant
/// buffer, which old checkpoints hold.
const KEY_RULES: KeyRules = KeyRules { renames: &[(r"^text_model\.", "")], ignored: &["embeddings.position_ids"] };

/// CLIP's text transformer: transformers' `CLIPTextModel` (`models/clip/modeling_clip.py`).
///
/// Its weights are constants: create it on a plain device, not on one with autodiff.
#[derive(Module, Debug)]
pub struct ClipTextModel {
    embeddings: ClipTextEmbeddings,
    encoder: ClipEncoder,
    final_layer_norm: LayerNorm,
}

/// Token ids that the model cannot take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// No prompt, or one without ids.
    #[error("nothing to encode: expected at least one prompt of at least one token id")]
    Empty,
    /// Prompts of different lengths.
    #[error("prompt {index} has {found} token ids, the first one has {expected}; pad all to one length")]
    Ragged {
        /// The place of the prompt in the batch.
        index: usize,
        /// Its length.
        found: usize,
        /// The length of the first.
        expected: usize,
    },
    /// More ids than positions.
    #[error(
        "the prompt has {found} token ids; the text encoder has {max} positions: tokenizer and text encoder do not belong together"
    )]
    TooLong {
        /// The number of ids.
        found: usize,
        /// The number of positions.
        max: usize,
    },
    /// An id beyond the token embeddings.
    #[error(
        "token id {id} at position {position} is beyond the text encoder's {vocab_size} tokens: tokenizer and text encoder do not belong together"
    )]
    UnknownId {
        /// The id.
        id: u32,
        /// Its position.
        position: usize,
        /// The number of token embeddings.
        vocab_size: usize,
    },
}

impl ClipTextModel {
    /// Creates the model with random weights, drawn when they are first used.
    pub fn new(config: &ClipTextModelConfig, device: &Device) -> Self {
        Self {
            embeddings: ClipTextEmbeddings::new(config, device),
            encoder: ClipEncoder::new(config, device),
            final_layer_norm: layer_norm(config, device),
        }
    }

    /// Creates the model with the weights of a checkpoint, with or without `text_model.` before its keys.
    ///
    /// # Errors
    ///
    /// Those of [`load_weights`]: every missing, unexpected or misshapen tensor is named.
    pub fn load(
        config: &ClipTextModelConfig,
        weights: &Weights,
        dtype: FloatType,
        device: &Device,
    ) -> Result<Self, CheckpointError> {
        let mut model = Self::new(config, device);
        load_weights(&mut model, weights, &KEY_RULES, dtype)?;
        Ok(model)
    }

    /// Encodes a batch of prompts of one length.
    ///
    /// # Shapes
    /// - output: `[batch, sequence, hidden_size]`
    ///
    /// # Errors
    ///
    /// Ids and lengths the model has no embeddings for, see [`EncodeError`].
    pub fn encode(&self, prompts: &[impl AsRef<[u32]>]) -> Result<Tensor<3>, EncodeError> {
        let expected = prompts.first().map_or(0, |ids| ids.as_ref().len());
        if expected == 0 {
            return Err(EncodeError::Empty);
        }
        let (vocab_size, max) = (self.embeddings.vocab_size(), self.embeddings.max_positions());
        let mut batch = Vec::with_capacity(prompts.len() * expected);
        for (index, ids) in prompts.iter().map(AsRef::as_ref).enumerate() {
            if ids.len() != expected {
                return Err(EncodeError::Ragged { index, found: ids.len(), expected });
            }
            if ids.len() > max {
                return Err(EncodeError::TooLong { found: ids.len(), max });
            }
            for (position, &id) in ids.iter().enumerate() {
                match i32::try_from(id) {
                    Ok(row) if (id as usize) < vocab_size => batch.push(row),
                    _ => return Err(EncodeError::UnknownId { id, position, vocab_size }),
                }
            }
        }
        let data = TensorData::new(batch, [prompts.len(), expected]);
        Ok(self.forward(Tensor::from_data(data, &self.embeddings.device())))
    }

    /// The last hidden state after the final layer norm: `text_encoder(input_ids)[0]` in diffusers.
    ///
    /// # Shapes
    /// - input_ids: `[batch, sequence]`, each below `vocab_size`
    /// - output: `[batch, sequence, hidden_size]`
    ///
    /// # Panics
    ///
    /// Panics when the sequence is longer than the position embeddings; [`Self::encode`] checks its input.
    pub fn forward(&self, input_ids: Tensor<2, Int>) -> Tensor<3> {
        let hidden_states = self.embeddings.forward(input_ids);
        let hidden_states = self.encoder.forward(hidden_states);
        self.final_layer_norm.forward(hidden_states)
    }
}

fn layer_norm(config: &ClipTextModelConfig, device: &Device) -> LayerNorm {
    LayerNormConfig::new(config.hidden_size).with_epsilon(config.layer_norm_eps).init(device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Activation;

    fn model() -> ClipTextModel {
        let config = ClipTextModelConfig {
            vocab_size: 11,
            hidden_size: 8,
            intermediate_size: 12,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            max_position_embeddings: 5,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
        };
        ClipTextModel::new(&config, &Device::flex())
    }

    fn refusal(prompts: &[Vec<u32>]) -> String {
        model().encode(prompts).unwrap_err().to_string()
    }

    #[test]
    fn a_token_does_not_see_what_follows() {
        let model = model();
        let states = model.encode(&[[1, 2, 3, 4, 5], [1, 2, 3, 9, 10]]).unwrap();
        assert_eq!(states.dims(), [2, 5, 8]);
        let rows = |prompt: usize, from, to| states.clone().slice([prompt..prompt + 1, from..to]).into_data();
        rows(0, 0, 3).assert_eq(&rows(1, 0, 3), true);
        assert_ne!(rows(0, 3, 5), rows(1, 3, 5));
    }

    #[test]
    fn a_shorter_prompt_has_the_first_positions() {
        let model = model();
        let long = model.encode(&[[1, 2, 3, 4, 5]]).unwrap();
        let short = model.encode(&[[1, 2, 3]]).unwrap();
        let tolerance = burn::tensor::Tolerance::<f32>::rel_abs(1e-5, 1e-6);
        short.into_data().assert_approx_eq(&long.slice([0..1, 0..3]).into_data(), tolerance);
    }

    #[test]
    fn ids_without_an_embedding_are_refused() {
        let expected = "token id 11 at position 1 is beyond the text encoder's 11 tokens: \
                        tokenizer and text encoder do not belong together";
        assert_eq!(refusal(&[vec![0, 11]]), expected);
        assert!(refusal(&[vec![u32::MAX]]).starts_with("token id 4294967295 at position 0"));
    }

    #[test]
    fn batches_the_model_has_no_room_for_are_refused() {
        assert!(refusal(&[]).starts_with("nothing to encode"));
        assert!(refusal(&[vec![]]).starts_with("nothing to encode"));
        assert!(refusal(&[vec![1, 2], vec![1]]).starts_with("prompt 1 has 1 token ids, the first one has 2"));
        assert!(refusal(&[vec![1; 6]]).starts_with("the prompt has 6 token ids; the text encoder has 5 positions"));
    }
}
