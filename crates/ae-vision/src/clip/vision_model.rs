use ae_clip::{ClipEncoder, ClipEncoderConfig};
use ae_tensor::nn::{Conv2d, LayerNorm, channels_last, computed, layer_norm as norm};
use burn::module::{Module, Param};
use burn::nn::{Embedding, EmbeddingConfig};
use burn::tensor::{Device, Tensor};

use crate::VisionConfig;

/// The vision transformer: transformers' `CLIPVisionModel`. The misspelt `pre_layrnorm` is the checkpoints'.
#[derive(Module, Debug)]
pub(super) struct ClipVisionModel {
    embeddings: ClipVisionEmbeddings,
    pre_layrnorm: LayerNorm,
    encoder: ClipEncoder,
    post_layernorm: LayerNorm,
}

/// A vector for the whole picture, one for each patch, and their positions: transformers' `CLIPVisionEmbeddings`.
#[derive(Module, Debug)]
#[expect(clippy::struct_field_names, reason = "transformers' names")]
struct ClipVisionEmbeddings {
    class_embedding: Param<Tensor<1>>,
    patch_embedding: Conv2d,
    position_embedding: Embedding,
}

impl ClipVisionModel {
    pub(super) fn new(config: &VisionConfig, device: &Device) -> Self {
        let layer_norm = || LayerNorm::new(config.hidden_size, config.layer_norm_eps, device);
        let encoder = ClipEncoderConfig {
            hidden_size: config.hidden_size,
            intermediate_size: config.intermediate_size,
            num_hidden_layers: config.num_hidden_layers,
            num_attention_heads: config.num_attention_heads,
            hidden_act: config.hidden_act,
            layer_norm_eps: config.layer_norm_eps,
            is_causal: false,
        };
        Self {
            embeddings: ClipVisionEmbeddings::new(config, device),
            pre_layrnorm: layer_norm(),
            encoder: ClipEncoder::new(&encoder, device),
            post_layernorm: layer_norm(),
        }
    }

    /// The state of the whole picture after all layers, `pooler_output`, in the type of the weights.
    ///
    /// # Shapes
    /// - pixel_values: `[batch, 3, image_size, image_size]`
    /// - output: `[batch, hidden_size]`
    pub(super) fn forward(&self, pixel_values: Tensor<4>) -> Tensor<2> {
        let hidden_states = norm(&self.pre_layrnorm, self.embeddings.forward(pixel_values));
        let hidden_states = self.encoder.forward(hidden_states, self.encoder.depth());
        norm(&self.post_layernorm, hidden_states.narrow(1, 0, 1)).squeeze_dim(1)
    }
}

impl ClipVisionEmbeddings {
    fn new(config: &VisionConfig, device: &Device) -> Self {
        let (width, patch) = (config.hidden_size, config.patch_size);
        Self {
            class_embedding: burn::module::Initializer::Zeros.init([width], device),
            patch_embedding: Conv2d::new([3, width], patch, patch, [0; 4], device).without_bias(),
            position_embedding: EmbeddingConfig::new(config.positions(), width).init(device),
        }
    }

    /// # Shapes
    /// - pixel_values: `[batch, 3, image_size, image_size]`
    /// - output: `[batch, 1 + patches, hidden_size]`, the whole picture first
    fn forward(&self, pixel_values: Tensor<4>) -> Tensor<3> {
        let pixel_values = channels_last(pixel_values.cast(self.patch_embedding.dtype()));
        let patches: Tensor<3> = self.patch_embedding.forward(pixel_values).flatten(1, 2);
        let [batch, _, width] = patches.dims();
        let whole = self.class_embedding.val().reshape([1, 1, width]).expand([batch, 1, width]);
        Tensor::cat(vec![whole, patches], 1) + computed(self.position_embedding.weight.val()).unsqueeze()
    }
}

#[cfg(test)]
mod tests {
    use ae_clip::Activation;
    use burn::tensor::Distribution;

    use super::*;

    #[test]
    fn patches_are_read_row_by_row_after_the_whole() {
        let config = VisionConfig {
            hidden_size: 2,
            intermediate_size: 2,
            num_hidden_layers: 1,
            num_attention_heads: 1,
            image_size: 4,
            patch_size: 2,
            hidden_act: Activation::Gelu,
            layer_norm_eps: 1e-5,
        };
        let device = Device::flex();
        let mut embeddings = ClipVisionEmbeddings::new(&config, &device);
        embeddings.position_embedding.weight = Param::from_tensor(Tensor::zeros([5, 2], &device));
        embeddings.class_embedding = Param::from_tensor(Tensor::from_floats([7.0, 8.0], &device));
        let pixels = Tensor::random([3, 3, 4, 4], Distribution::Normal(0.0, 1.0), &device);
        let states = embeddings.forward(pixels.clone());
        assert_eq!(states.dims(), [3, 5, 2]);
        states.clone().narrow(0, 1, 1).narrow(1, 0, 1).into_data().assert_eq(&[[[7.0_f32, 8.0]]].into(), true);
        // The second patch lies to the right of the first.
        let patch = pixels.narrow(2, 0, 2).narrow(3, 2, 2);
        let expected: Tensor<3> = embeddings.patch_embedding.forward(channels_last(patch)).flatten(1, 2);
        let tolerance = burn::tensor::Tolerance::<f32>::rel_abs(1e-6, 1e-6);
        states.narrow(1, 2, 1).into_data().assert_approx_eq(&expected.into_data(), tolerance);
    }
}
