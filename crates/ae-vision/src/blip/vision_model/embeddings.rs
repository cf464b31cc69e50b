use ae_tensor::nn::{Conv2d, channels_last};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

use crate::VisionConfig;

/// The patches of a picture behind an embedding of the whole, plus learned positions: transformers'
/// `BlipVisionEmbeddings`.
#[derive(Module, Debug)]
#[expect(clippy::struct_field_names, reason = "transformers' names")]
pub(super) struct BlipVisionEmbeddings {
    /// `[1, 1, hidden_size]`
    class_embedding: Param<Tensor<3>>,
    patch_embedding: Conv2d,
    /// `[1, positions, hidden_size]`
    position_embedding: Param<Tensor<3>>,
}

impl BlipVisionEmbeddings {
    pub(super) fn new(config: &VisionConfig, device: &Device) -> Self {
        let VisionConfig { hidden_size, patch_size, .. } = *config;
        let normal = Initializer::Normal { mean: 0.0, std: 1.0 };
        Self {
            class_embedding: normal.init([1, 1, hidden_size], device),
            patch_embedding: Conv2d::new([3, hidden_size], patch_size, patch_size, [0; 4], device),
            position_embedding: normal.init([1, config.positions(), hidden_size], device),
        }
    }

    pub(super) fn device(&self) -> Device {
        self.patch_embedding.device()
    }

    /// # Shapes
    /// - pixels: `[batch, 3, image_size, image_size]`
    /// - output: `[batch, positions, hidden_size]`
    pub(super) fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        let pixels = channels_last(pixels.cast(self.patch_embedding.dtype()));
        let patches = self.patch_embedding.forward(pixels);
        let [batch, rows, columns, width] = patches.dims();
        let patches = patches.reshape([batch, rows * columns, width]);
        let class = self.class_embedding.val().expand([batch, 1, width]);
        Tensor::cat(vec![class, patches], 1) + self.position_embedding.val()
    }
}
