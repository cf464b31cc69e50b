use ae_tensor::nn::{LayerNorm, computed, computed_dtype, layer_norm};
use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig};
use burn::tensor::{DType, Device, Int, Tensor};

use crate::blip::config::BlipTextConfig;

/// Word embeddings plus learned positions, normalised: transformers' `BlipTextEmbeddings`.
#[derive(Module, Debug)]
pub(super) struct BlipTextEmbeddings {
    word_embeddings: Embedding,
    position_embeddings: Embedding,
    /// `LayerNorm` in transformers.
    layer_norm: LayerNorm,
}

impl BlipTextEmbeddings {
    pub(super) fn new(config: &BlipTextConfig, device: &Device) -> Self {
        let embedding = |count| EmbeddingConfig::new(count, config.hidden_size).init(device);
        Self {
            word_embeddings: embedding(config.vocab_size),
            position_embeddings: embedding(config.max_position_embeddings),
            layer_norm: LayerNorm::new(config.hidden_size, config.layer_norm_eps, device),
        }
    }

    pub(super) fn device(&self) -> Device {
        self.position_embeddings.weight.device()
    }

    /// The type that the decoder computes in.
    pub(super) fn dtype(&self) -> DType {
        computed_dtype(&self.position_embeddings.weight.val())
    }

    /// The embeddings of ids that stand at the positions from `first` on.
    ///
    /// # Shapes
    /// - ids: `[rows, sequence]`
    /// - output: `[rows, sequence, hidden_size]`
    pub(super) fn forward(&self, ids: Tensor<2, Int>, first: usize) -> Tensor<3> {
        let sequence = ids.dims()[1];
        let positions = computed(self.position_embeddings.weight.val().narrow(0, first, sequence));
        let embeddings = computed(self.word_embeddings.forward(ids)) + positions.unsqueeze();
        layer_norm(&self.layer_norm, embeddings)
    }
}
