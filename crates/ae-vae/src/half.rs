use ae_tensor::nn::{Conv2d, Downsample2D, DownsamplePadding, ResnetBlock2D, Upsample2D};
use burn::module::Module;
use burn::nn::{GroupNorm, GroupNormConfig};
use burn::tensor::{DType, Device, Tensor};

use crate::VaeConfig;
use crate::config::NORM_EPS;
use crate::mid_block::MidBlock2D;

/// Either half: from an image to the mean and log-variance of its latents, or from latents to an image (diffusers'
/// `models/autoencoders/vae.py`, `Encoder` and `Decoder`).
#[derive(Module, Debug)]
pub(crate) struct Half {
    conv_in: Conv2d,
    /// Those of the encoder.
    down_blocks: Vec<Block2D>,
    mid_block: MidBlock2D,
    /// Those of the decoder.
    up_blocks: Vec<Block2D>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

#[derive(Module, Debug)]
struct Block2D {
    resnets: Vec<ResnetBlock2D>,
    /// One in the encoder, or none in its last block.
    downsamplers: Vec<Downsample2D>,
    /// One in the decoder, or none in its last block.
    upsamplers: Vec<Upsample2D>,
}

impl Block2D {
    fn new(config: &VaeConfig, [before, channels]: [usize; 2], layers: usize, device: &Device) -> Self {
        let resnet = |layer| config.resnet(if layer == 0 { before } else { channels }, channels).init(device);
        Self { resnets: (0..layers).map(resnet).collect(), downsamplers: Vec::new(), upsamplers: Vec::new() }
    }

    fn forward(mut hidden_states: Tensor<4>, block: &Self) -> Tensor<4> {
        for resnet in &block.resnets {
            hidden_states = resnet.forward(hidden_states, None);
        }
        for downsampler in &block.downsamplers {
            hidden_states = downsampler.forward(hidden_states);
        }
        for upsampler in &block.upsamplers {
            let [_, rows, columns, _] = hidden_states.dims();
            hidden_states = upsampler.forward(hidden_states, [2 * rows, 2 * columns]);
        }
        hidden_states
    }
}

impl Half {
    pub(crate) fn encoder(config: &VaeConfig, device: &Device) -> Self {
        let (levels, last) = (&config.block_out_channels, config.reductions());
        let block = |level: usize| {
            let channels = [levels[level.saturating_sub(1)], levels[level]];
            let downsample = || Downsample2D::new(levels[level], DownsamplePadding::BottomRight, device);
            let downsamplers = (level != last).then(downsample).into_iter().collect();
            Block2D { downsamplers, ..Block2D::new(config, channels, config.layers_per_block, device) }
        };
        let down_blocks = (0..=last).map(block).collect();
        let out = 2 * config.latent_channels;
        Self { down_blocks, ..Self::new(config, [config.in_channels, levels[0]], [levels[last], out], device) }
    }

    pub(crate) fn decoder(config: &VaeConfig, device: &Device) -> Self {
        let (levels, last) = (&config.block_out_channels, config.reductions());
        let block = |level: usize| {
            let channels = [levels[(level + 1).min(last)], levels[level]];
            let upsample = || Upsample2D::new(levels[level], device);
            let upsamplers = (level != 0).then(upsample).into_iter().collect();
            Block2D { upsamplers, ..Block2D::new(config, channels, config.layers_per_block + 1, device) }
        };
        let up_blocks = (0..=last).rev().map(block).collect();
        let ends = ([config.latent_channels, levels[last]], [levels[0], config.out_channels]);
        Self { up_blocks, ..Self::new(config, ends.0, ends.1, device) }
    }

    fn new(config: &VaeConfig, from: [usize; 2], to: [usize; 2], device: &Device) -> Self {
        Self {
            conv_in: Conv2d::new_3x3(from[0], from[1], device),
            down_blocks: Vec::new(),
            mid_block: MidBlock2D::new(config, device),
            up_blocks: Vec::new(),
            conv_norm_out: GroupNormConfig::new(config.norm_num_groups, to[0]).with_epsilon(NORM_EPS).init(device),
            conv_out: Conv2d::new_3x3(to[0], to[1], device),
        }
    }

    /// The type of the weights.
    pub(crate) fn dtype(&self) -> DType {
        self.conv_in.dtype()
    }

    /// # Shapes
    /// - image: `[batch, rows * scale, columns * scale, 3]`
    /// - moments: `[batch, rows, columns, 2 * latent_channels]`
    /// - latents: `[batch, rows, columns, latent_channels]`
    pub(crate) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let down = self.down_blocks.iter().fold(self.conv_in.forward(input), Block2D::forward);
        let up = self.up_blocks.iter().fold(self.mid_block.forward(down), Block2D::forward);
        self.conv_out.forward_normed(&self.conv_norm_out, up, None, None)
    }
}
