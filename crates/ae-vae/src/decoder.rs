use ae_tensor::nn::{Activation, Conv2d, ResnetBlock2D, Upsample2D, group_norm};
use burn::module::Module;
use burn::nn::{GroupNorm, GroupNormConfig};
use burn::tensor::{Device, Tensor};

use crate::VaeConfig;
use crate::config::NORM_EPS;
use crate::mid_block::MidBlock2D;

/// From latents to an image (diffusers' `models/autoencoders/vae.py`, `Decoder`).
#[derive(Module, Debug)]
pub(crate) struct Decoder {
    conv_in: Conv2d,
    mid_block: MidBlock2D,
    up_blocks: Vec<UpDecoderBlock2D>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

#[derive(Module, Debug)]
struct UpDecoderBlock2D {
    resnets: Vec<ResnetBlock2D>,
    /// One, or none in the last block.
    upsamplers: Vec<Upsample2D>,
}

impl Decoder {
    pub(crate) fn new(config: &VaeConfig, device: &Device) -> Self {
        let levels = &config.block_out_channels;
        let last = config.reductions();
        let up_block = |level: usize| {
            let channels = levels[level];
            let before = levels[(level + 1).min(last)];
            let resnet = |layer| config.resnet(if layer == 0 { before } else { channels }, channels).init(device);
            let upsample = || Upsample2D::new(channels, device);
            UpDecoderBlock2D {
                resnets: (0..=config.layers_per_block).map(resnet).collect(),
                upsamplers: (level != 0).then(upsample).into_iter().collect(),
            }
        };
        Self {
            conv_in: Conv2d::new_3x3(config.latent_channels, levels[last], device),
            mid_block: MidBlock2D::new(config, device),
            up_blocks: (0..=last).rev().map(up_block).collect(),
            conv_norm_out: GroupNormConfig::new(config.norm_num_groups, levels[0]).with_epsilon(NORM_EPS).init(device),
            conv_out: Conv2d::new_3x3(levels[0], config.out_channels, device),
        }
    }

    /// # Shapes
    /// - latents: `[batch, rows, columns, latent_channels]`
    /// - output: `[batch, rows * scale, columns * scale, 3]`
    pub(crate) fn forward(&self, latents: Tensor<4>) -> Tensor<4> {
        let mut hidden_states = self.mid_block.forward(self.conv_in.forward(latents));
        for block in &self.up_blocks {
            for resnet in &block.resnets {
                hidden_states = resnet.forward(hidden_states, None);
            }
            for upsampler in &block.upsamplers {
                let [_, rows, columns, _] = hidden_states.dims();
                hidden_states = upsampler.forward(hidden_states, [2 * rows, 2 * columns]);
            }
        }
        self.conv_out.forward(group_norm(&self.conv_norm_out, hidden_states, Activation::Silu))
    }
}
