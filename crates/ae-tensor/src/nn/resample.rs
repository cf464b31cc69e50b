use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor};

use super::conv3x3;

/// How [`Downsample2D`] pads before its strided convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownsamplePadding {
    /// One pixel on every side, as in the U-Net (`downsample_padding = 1`).
    Symmetric,
    /// One pixel at the bottom and at the right, as in the VAE's encoder (`downsample_padding = 0`).
    BottomRight,
}

/// Halves the resolution with a 3x3 convolution of stride 2 (diffusers' `Downsample2D`).
#[derive(Module, Debug)]
pub struct Downsample2D {
    conv: Conv2d,
}

impl Downsample2D {
    /// Initialises the layer.
    pub fn new(channels: usize, padding: DownsamplePadding, device: &Device) -> Self {
        let padding = match padding {
            DownsamplePadding::Symmetric => PaddingConfig2d::Explicit(1, 1, 1, 1),
            DownsamplePadding::BottomRight => PaddingConfig2d::Explicit(0, 0, 1, 1),
        };
        let conv =
            Conv2dConfig::new([channels, channels], [3, 3]).with_stride([2, 2]).with_padding(padding).init(device);
        Self { conv }
    }

    /// # Shapes
    /// - input: `[batch, channels, rows, cols]`
    /// - output: `[batch, channels, ceil(rows / 2), ceil(cols / 2)]`, rounded down for
    ///   [`DownsamplePadding::BottomRight`]
    pub fn forward(&self, hidden_states: Tensor<4>) -> Tensor<4> {
        self.conv.forward(hidden_states)
    }
}

/// Enlarges by nearest neighbours, then applies a 3x3 convolution (diffusers' `Upsample2D`).
#[derive(Module, Debug)]
pub struct Upsample2D {
    conv: Conv2d,
}

impl Upsample2D {
    /// Initialises the layer.
    pub fn new(channels: usize, device: &Device) -> Self {
        Self { conv: conv3x3(channels, channels, device) }
    }

    /// Enlarges to `size` (rows, cols).
    ///
    /// The U-Net names the size of the skip connection that follows: for latents whose sides are no
    /// multiple of the total reduction it is one less than double.
    ///
    /// # Shapes
    /// - input: `[batch, channels, rows, cols]`
    /// - output: `[batch, channels, size[0], size[1]]`
    pub fn forward(&self, hidden_states: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
        let options = InterpolateOptions::new(InterpolateMode::Nearest).with_output_size(size);
        self.conv.forward(interpolate(hidden_states, options))
    }
}
