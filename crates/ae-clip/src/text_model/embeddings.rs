use ae_tensor::nn::computed;
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

    /// The number of tokens, and the width of their embeddings.
    pub(super) fn token_embedding_shape(&self) -> [usize; 2] {
        self.token_embedding.weight.dims()
    }

    pub(super) fn max_positions(&self) -> usize {
        self.position_embedding.weight.dims()[0]
    }

    pub(super) fn device(&self) -> Device {
        self.token_embedding.weight.device()
    }

    /// Ends the tokens before the id `first` and appends others, on the device and in the type that the model computes in.
    ///
    /// # Shapes
    /// - embeddings: `[tokens, hidden_size]`
    pub(super) fn replace_tokens_from(&mut self, first: usize, embeddings: Tensor<2>) {
        let append = |weight: Tensor<2>| {
            let kept = computed(weight.narrow(0, 0, first));
            let embeddings = embeddings.to_device(&kept.device()).cast(kept.dtype());
            Tensor::cat(vec![kept, embeddings], 0)
        };
        self.token_embedding.weight = self.token_embedding.weight.clone().map(append);
    }

    /// # Shapes
    /// - input_ids: `[batch, sequence]`
    /// - output: `[batch, sequence, hidden_size]`
    pub(super) fn forward(&self, input_ids: Tensor<2, Int>) -> Tensor<3> {
        let [_, sequence] = input_ids.dims();
        let positions = computed(self.position_embedding.weight.val().narrow(0, 0, sequence));
        computed(self.token_embedding.forward(input_ids)) + positions.unsqueeze()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;

    use super::*;
    use crate::config::Activation;

    #[test]
    fn new_tokens_follow_those_that_stay_in_the_type_of_the_model() {
        let config = ClipTextModelConfig {
            vocab_size: 4,
            hidden_size: 2,
            intermediate_size: 2,
            num_hidden_layers: 1,
            num_attention_heads: 1,
            max_position_embeddings: 5,
            hidden_act: Activation::Gelu,
            layer_norm_eps: 1e-5,
        };
        let device = Device::flex();
        let mut embeddings = ClipTextEmbeddings::new(&config, &device);
        let before = embeddings.token_embedding.weight.val();
        let new = Tensor::<2>::from_data([[0.5, 1.0], [1.5, 2.0]], &device);
        embeddings.replace_tokens_from(3, new.clone().cast(DType::F16));
        let after = embeddings.token_embedding.weight.val();
        assert_eq!(after.dtype(), DType::F32);
        after.clone().narrow(0, 0, 3).into_data().assert_eq(&before.narrow(0, 0, 3).into_data(), true);
        after.narrow(0, 3, 2).into_data().assert_eq(&new.into_data(), true);
    }
}
