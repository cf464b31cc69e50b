use ae_tensor::nn::{Activation, Conv2d, Downsample2D, DownsamplePadding, ResnetBlock2D, group_norm};
use burn::module::Module;
use burn::nn::{GroupNorm, GroupNormConfig};
use burn::tensor::{DType, Device, Tensor};

use crate::VaeConfig;
use crate::config::NORM_EPS;
use crate::mid_block::MidBlock2D;

/// From an image to the mean and log-variance of its latents
/// (diffusers' `models/autoencoders/vae.py`, `Encoder`).
#[derive(Module, Debug)]
pub(crate) struct Encoder {
    conv_in: Conv2d,
    down_blocks: Vec<DownEncoderBlock2D>,
    mid_block: MidBlock2D,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

#[derive(Module, Debug)]
struct DownEncoderBlock2D {
    resnets: Vec<ResnetBlock2D>,
    /// One, or none in the last block.
    downsamplers: Vec<Downsample2D>,
}

impl Encoder {
    pub(crate) fn new(config: &VaeConfig, device: &Device) -> Self {
        let levels = &config.block_out_channels;
        let last = config.reductions();
        let down_block = |level: usize| {
            let channels = levels[level];
            let before = levels[level.saturating_sub(1)];
            let resnet = |layer| config.resnet(if layer == 0 { before } else { channels }, channels).init(device);
            let downsample = || Downsample2D::new(channels, DownsamplePadding::BottomRight, device);
            DownEncoderBlock2D {
                resnets: (0..config.layers_per_block).map(resnet).collect(),
                downsamplers: (level != last).then(downsample).into_iter().collect(),
            }
        };
        Self {
            conv_in: Conv2d::new_3x3(config.in_channels, levels[0], device),
            down_blocks: (0..=last).map(down_block).collect(),
            mid_block: MidBlock2D::new(config, device),
            conv_norm_out: GroupNormConfig::new(config.norm_num_groups, levels[last])
                .with_epsilon(NORM_EPS)
                .init(device),
            conv_out: Conv2d::new_3x3(levels[last], 2 * config.latent_channels, device),
        }
    }

    /// The type of the weights.
    pub(crate) fn dtype(&self) -> DType {
        self.conv_in.dtype()
    }

    /// # Shapes
    /// - image: `[batch, height, width, 3]`
    /// - output: `[batch, height / scale, width / scale, 2 * latent_channels]`
    pub(crate) fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        let mut hidden_states = self.conv_in.forward(image);
        for block in &self.down_blocks {
            for resnet in &block.resnets {
                hidden_states = resnet.forward(hidden_states, None);
            }
            for downsampler in &block.downsamplers {
                hidden_states = downsampler.forward(hidden_states);
            }
        }
        let hidden_states = self.mid_block.forward(hidden_states);
        self.conv_out.forward(group_norm(&self.conv_norm_out, hidden_states, Activation::Silu))
    }
}
