//! Layers that several of the models share, with diffusers' parameter names.

mod attention;
mod group_norm;
mod heads;
mod precision;
mod resample;
mod resnet;

pub use group_norm::group_norm;
pub use heads::{merge_heads, split_heads};
pub use precision::{attention, attention_probs, layer_norm};
pub use resample::{Downsample2D, DownsamplePadding, Upsample2D};
pub use resnet::{ResnetBlock2D, ResnetBlock2DConfig};

use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::Device;

/// A 3x3 convolution of stride 1 that keeps the size of the picture.
pub fn conv3x3(in_channels: usize, out_channels: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([in_channels, out_channels], [3, 3])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .init(device)
}

/// A 1x1 convolution.
pub fn conv1x1(in_channels: usize, out_channels: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([in_channels, out_channels], [1, 1]).init(device)
}
