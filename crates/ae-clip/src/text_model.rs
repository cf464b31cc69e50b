mod embeddings;

use std::collections::BTreeSet;
use std::path::Path;

use ae_tensor::nn::{LayerNorm, layer_norm as norm};
use ae_tensor::{
    Checkpoint, CheckpointError, Component, FloatType, KeyRules, checkpoint_of, load_weights, restore_weights,
};
use burn::module::Module;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::config::ClipTextModelConfig;
use crate::encoder::{ClipEncoder, ClipEncoderConfig};
use embeddings::ClipTextEmbeddings;

/// transformers 4 wraps the model in `text_model`, transformers 5 does not. The position ids are a constant
/// buffer, which old checkpoints hold.
const KEY_RULES: KeyRules = KeyRules { prefix: "text_model.", renames: &[], ignored: &["embeddings.position_ids"] };

/// CLIP's text transformer: transformers' `CLIPTextModel` (`models/clip/modeling_clip.py`).
///
/// Its weights are constants: create it on a plain device, not on one with autodiff. The embeddings it
/// returns are single precision whatever the type of the weights.
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
    /// More layers to skip than there are, or all of them.
    #[error("clip_skip is {found}; the text encoder has {layers} layers, of which 0..={} can be skipped", layers - 1)]
    ClipSkip {
        /// The number of layers to skip.
        found: usize,
        /// The number of layers.
        layers: usize,
    },
}

/// Token embeddings that do not fit into the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenEmbeddingError {
    /// Vectors of another model's width.
    #[error(
        "the embedding's vectors have {found} numbers, those of the text encoder {expected}: it was made for another model"
    )]
    Width {
        /// The width of the vectors.
        found: usize,
        /// The model's hidden size.
        expected: usize,
    },
    /// A first id that leaves ids without an embedding.
    #[error(
        "the embedding's first token id is {found}; the text encoder has {vocab_size} tokens: tokenizer and text encoder do not belong together"
    )]
    FirstId {
        /// The id.
        found: u32,
        /// The number of token embeddings.
        vocab_size: usize,
    },
}

impl ClipTextModel {
    /// Creates the model with random weights, drawn when they are first used.
    pub fn new(config: &ClipTextModelConfig, device: &Device) -> Self {
        Self {
            embeddings: ClipTextEmbeddings::new(config, device),
            encoder: ClipEncoder::new(&ClipEncoderConfig::from(config), device),
            final_layer_norm: LayerNorm::new(config.hidden_size, config.layer_norm_eps, device),
        }
    }

    /// Creates the model with the weights of a checkpoint, with or without `text_model.` before its keys.
    ///
    /// # Errors
    ///
    /// Those of [`load_weights`]: every missing, unexpected or misshapen tensor is named.
    pub fn load(
        config: &ClipTextModelConfig,
        checkpoint: &Checkpoint,
        dtype: FloatType,
        device: &Device,
    ) -> Result<Self, CheckpointError> {
        let mut model = Self::new(config, device);
        load_weights(&mut model, checkpoint, &KEY_RULES, dtype)?;
        Ok(model)
    }

    /// Its parameters under transformers' names, as [`load`](Self::load) takes them.
    pub fn checkpoint(&self, dtype: FloatType) -> Checkpoint {
        checkpoint_of(self, "the text encoder", KEY_RULES.prefix, dtype)
    }

    /// Reads the parameters of some names again from the weights that the model was loaded from; see [`restore_weights`]. Tokens that
    /// were added are gone with it.
    ///
    /// # Errors
    ///
    /// When a tensor cannot be read.
    pub fn restore(
        &mut self,
        checkpoint: &Checkpoint,
        dtype: FloatType,
        mut names: BTreeSet<String>,
    ) -> Result<(), CheckpointError> {
        names.insert("embeddings_token_embedding".to_owned());
        restore_weights(self, checkpoint, &KEY_RULES, dtype, &names)
    }

    /// Loads a folder in transformers' layout (`text_encoder`): `config.json`, and the weights in any of their formats.
    ///
    /// # Errors
    ///
    /// When a file is missing, damaged or of another kind of model. The error names the file.
    pub fn from_folder(folder: impl AsRef<Path>, dtype: FloatType, device: &Device) -> Result<Self, CheckpointError> {
        let Component { config, weights } = Component::from_folder(folder, dtype != FloatType::F32)?;
        Self::load(&config, &weights, dtype, device)
    }

    /// The device of the weights.
    pub fn device(&self) -> Device {
        self.embeddings.device()
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
        self.encode_with_clip_skip(prompts, 0)
    }

    /// Encodes a batch of prompts of one length without the last `clip_skip` layers, which are not computed:
    /// `final_layer_norm(hidden_states[-(clip_skip + 1)])`, as in `encode_prompt` of diffusers'
    /// `StableDiffusionPipeline`.
    ///
    /// # Shapes
    /// - output: `[batch, sequence, hidden_size]`
    ///
    /// # Errors
    ///
    /// Those of [`Self::encode`], and a `clip_skip` that leaves no layer.
    pub fn encode_with_clip_skip(
        &self,
        prompts: &[impl AsRef<[u32]>],
        clip_skip: usize,
    ) -> Result<Tensor<3>, EncodeError> {
        let layers = self.encoder.depth();
        if clip_skip >= layers {
            return Err(EncodeError::ClipSkip { found: clip_skip, layers });
        }
        let input_ids = self.input_ids(prompts)?;
        Ok(self.hidden_states(input_ids, layers - clip_skip))
    }

    /// Sets the embeddings of the tokens from `first_id` on, in place of any there, and ends the model's
    /// vocabulary with them: what diffusers' `load_textual_inversion` does to the text encoder. The ids come
    /// from [`ClipTokenizer::add_embedding_tokens`](crate::ClipTokenizer::add_embedding_tokens), whose
    /// vocabulary the model's is to equal.
    ///
    /// # Shapes
    /// - embeddings: `[vectors, hidden_size]`
    ///
    /// # Errors
    ///
    /// Vectors of another width, and a `first_id` beyond the model's tokens, or 0.
    pub fn add_token_embeddings(&mut self, first_id: u32, embeddings: Tensor<2>) -> Result<(), TokenEmbeddingError> {
        let [vocab_size, expected] = self.embeddings.token_embedding_shape();
        let found = embeddings.dims()[1];
        if found != expected {
            return Err(TokenEmbeddingError::Width { found, expected });
        }
        if !(1..=vocab_size).contains(&(first_id as usize)) {
            return Err(TokenEmbeddingError::FirstId { found: first_id, vocab_size });
        }
        self.embeddings.replace_tokens_from(first_id as usize, embeddings);
        Ok(())
    }

    /// Checks the ids of a batch.
    fn input_ids(&self, prompts: &[impl AsRef<[u32]>]) -> Result<Tensor<2, Int>, EncodeError> {
        let expected = prompts.first().map_or(0, |ids| ids.as_ref().len());
        if expected == 0 {
            return Err(EncodeError::Empty);
        }
        let ([vocab_size, _], max) = (self.embeddings.token_embedding_shape(), self.embeddings.max_positions());
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
        Ok(Tensor::from_data(data, &self.embeddings.device()))
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
        self.hidden_states(input_ids, self.encoder.depth())
    }

    /// The hidden state after the first `layers`, and the final layer norm.
    fn hidden_states(&self, input_ids: Tensor<2, Int>, layers: usize) -> Tensor<3> {
        let hidden_states = self.embeddings.forward(input_ids);
        let hidden_states = self.encoder.forward(hidden_states, layers);
        norm(&self.final_layer_norm, hidden_states).cast(DType::F32)
    }
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
        refusal_of(&model(), prompts)
    }

    fn refusal_of(model: &ClipTextModel, prompts: &[Vec<u32>]) -> String {
        model.encode(prompts).unwrap_err().to_string()
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

    /// `text_model.final_layer_norm(hidden_states[-2])` of a model with two layers.
    #[test]
    fn a_clip_skip_leaves_out_the_last_layers_but_not_the_norm() {
        let model = model();
        let input_ids = model.input_ids(&[[1, 2, 3]]).unwrap();
        let hidden_states = model.encoder.forward(model.embeddings.forward(input_ids), 1);
        let expected = norm(&model.final_layer_norm, hidden_states).into_data();
        let skipped = model.encode_with_clip_skip(&[[1, 2, 3]], 1).unwrap().into_data();
        skipped.assert_eq(&expected, true);
        assert_ne!(skipped, model.encode(&[[1, 2, 3]]).unwrap().into_data());
    }

    /// With gamma 1 and beta 0, the norm of a row is `(x - mean) / sqrt(variance + epsilon)`.
    #[test]
    fn the_norms_have_the_epsilon_of_the_config() {
        let json = r#"{"vocab_size": 11, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1,
            "num_attention_heads": 2, "max_position_embeddings": 5, "layer_norm_eps": 0.25}"#;
        let model = ClipTextModel::new(&ClipTextModelConfig::from_json(json).unwrap(), &Device::flex());
        let input_ids = model.input_ids(&[[1, 2, 3]]).unwrap();
        let states = model.encoder.forward(model.embeddings.forward(input_ids), 1);
        let centred = states.clone() - states.mean_dim(2);
        let expected = centred.clone() / (centred.square().mean_dim(2) + 0.25).sqrt();
        let tolerance = burn::tensor::Tolerance::<f32>::rel_abs(1e-5, 1e-6);
        model.encode(&[[1, 2, 3]]).unwrap().into_data().assert_approx_eq(&expected.into_data(), tolerance);
    }

    #[test]
    fn a_clip_skip_that_leaves_no_layer_is_refused() {
        for clip_skip in [2, usize::MAX] {
            let error = model().encode_with_clip_skip(&[[1]], clip_skip).unwrap_err().to_string();
            let expected = "the text encoder has 2 layers, of which 0..=1 can be skipped";
            assert_eq!(error, format!("clip_skip is {clip_skip}; {expected}"));
        }
    }

    #[test]
    fn added_tokens_can_be_encoded() {
        let mut model = model();
        let before = model.encode(&[[1, 10, 3]]).unwrap().into_data();
        model.add_token_embeddings(11, Tensor::ones([2, 8], &Device::flex())).unwrap();
        let states = model.encode(&[[1, 10, 3], [1, 11, 3], [1, 12, 3]]).unwrap();
        let state = |prompt: usize| states.clone().narrow(0, prompt, 1).into_data();
        state(0).assert_eq(&before, true);
        state(1).assert_eq(&state(2), true);
        assert_ne!(state(1), before);
        assert!(refusal_of(&model, &[vec![13]]).contains("beyond the text encoder's 13 tokens"));
    }

    #[test]
    fn a_vocabulary_beyond_the_tokenizers_is_ended() {
        let mut model = model();
        model.add_token_embeddings(9, Tensor::zeros([1, 8], &Device::flex())).unwrap();
        assert_eq!(model.embeddings.token_embedding_shape(), [10, 8]);
    }

    #[test]
    fn token_embeddings_that_do_not_fit_are_refused() {
        let mut model = model();
        let mut refusal = |first_id, width| {
            let embeddings = Tensor::zeros([2, width], &Device::flex());
            model.add_token_embeddings(first_id, embeddings).unwrap_err().to_string()
        };
        let expected = "the embedding's vectors have 7 numbers, those of the text encoder 8: \
                        it was made for another model";
        assert_eq!(refusal(11, 7), expected);
        for first_id in [0, 12, u32::MAX] {
            let expected = format!("the embedding's first token id is {first_id}; the text encoder has 11 tokens: ");
            assert!(refusal(first_id, 8).starts_with(&expected));
        }
    }
}
