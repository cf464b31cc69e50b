//! LoRAs and textual inversions.

use ae_checkpoint::{Embedding, Lora, LoraNetwork};
use ae_clip::{ClipTextModel, ClipTokenizer};
use ae_settings::{EmbeddingRef, LoraRef};
use ae_tensor::apply_lora;
use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use crate::LoadError;

/// LoRAs with their strengths.
pub(crate) struct Loras(Vec<(Lora, f64)>);

impl Loras {
    pub(crate) fn open(loras: &[LoraRef]) -> Result<Self, LoadError> {
        let open = |lora: &LoraRef| Ok((Lora::open(&lora.name)?, lora.strength));
        loras.iter().map(open).collect::<Result<_, LoadError>>().map(Self)
    }

    /// Merges the layers that they have for one of the networks.
    pub(crate) fn add_to<M: Module>(&self, network: LoraNetwork, module: &mut M) -> Result<(), LoadError> {
        self.0.iter().try_for_each(|(lora, strength)| {
            let layers = lora.layers.iter().filter(|layer| layer.network == network).cloned();
            let mismatch = |source| LoadError::Lora { file: lora.name.clone(), source };
            apply_lora(module, layers, *strength).map_err(mismatch)
        })
    }
}

/// The tokens of a textual inversion, which the tokenizer has already.
pub(crate) struct EmbeddedTokens {
    file: String,
    first_id: u32,
    vectors: Vec<Vec<f32>>,
}

impl EmbeddedTokens {
    /// Reads textual inversions, and adds their tokens to a tokenizer.
    pub(crate) fn add(embeddings: &[EmbeddingRef], tokenizer: &mut ClipTokenizer) -> Result<Vec<Self>, LoadError> {
        let add = |chosen: &EmbeddingRef| {
            let (file, Embedding { token, vectors }) = (chosen.name.clone(), Embedding::open(&chosen.name)?);
            match tokenizer.add_embedding_tokens(chosen.token.as_ref().unwrap_or(&token), vectors.len()) {
                Ok(ids) => Ok(Self { file, first_id: ids.start, vectors }),
                Err(source) => Err(LoadError::Embedding { file, source: Box::new(source) }),
            }
        };
        embeddings.iter().map(add).collect()
    }

    /// Adds the vectors to the text encoder.
    pub(crate) fn add_to(&self, text_encoder: &mut ClipTextModel) -> Result<(), LoadError> {
        let shape = [self.vectors.len(), self.vectors[0].len()];
        let vectors = Tensor::from_data(TensorData::new(self.vectors.concat(), shape), &text_encoder.device());
        let added = text_encoder.add_token_embeddings(self.first_id, vectors);
        added.map_err(|source| LoadError::Embedding { file: self.file.clone(), source: Box::new(source) })
    }
}
