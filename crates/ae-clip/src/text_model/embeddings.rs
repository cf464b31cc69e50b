use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig};
use burn::tensor::{Device, Int, Tensor};

use crate::config::ClipTextModelConfig;

/// Token embeddings plus learned position embeddings: transformers' `CLIPTextEmbeddings`.
#[derive(Module, Debug)]
pub(super) struct ClipTextEmbeddings {
    token_embedding: Embedding,
    position_embedding: Embedding,
}

impl ClipTextEmbeddings {
    pub(super) fn new(config: &ClipTextModelConfig, device: &Device) -> Self {
        Self {
            token_embedding: EmbeddingConfig::new(config.vocab_size, config.hidden_size).init(device),
            position_embedding: EmbeddingConfig::new(config.max_position_embeddings, config.hidden_size).init(device),
        }
    }

    pub(super) fn vocab_size(&self) -> usize {
        self.token_embedding.weight.dims()[0]
    }

    pub(super) fn max_positions(&self) -> usize {
        self.position_embedding.weight.dims()[0]
    }

    pub(super) fn device(&self) -> Device {
        self.token_embedding.weight.device()
    }

    /// # Shapes
    /// - input_ids: `[batch, sequence]`
    /// - output: `[batch, sequence, hidden_size]`
    pub(super) fn forward(&self, input_ids: Tensor<2, Int>) -> Tensor<3> {
        let [_, sequence] = input_ids.dims();
        let positions = self.position_embedding.weight.val().narrow(0, 0, sequence);
        self.token_embedding.forward(input_ids) + positions.unsqueeze()
    }
}
