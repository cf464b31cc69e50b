use burn::module::Module;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor};

use super::conv::{Before, Conv2d};
use super::layout::{channels_first, channels_last};

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
            DownsamplePadding::Symmetric => [1; 4],
            DownsamplePadding::BottomRight => [0, 0, 1, 1],
        };
        Self { conv: Conv2d::new([channels; 2], 3, 2, padding, device) }
    }

    /// # Shapes
    /// - input: `[batch, rows, columns, channels]`
    /// - output: `[batch, ceil(rows / 2), ceil(columns / 2), channels]`, rounded down for
    ///   [`DownsamplePadding::BottomRight`]
    pub fn forward(&self, hidden_states: Tensor<4>) -> Tensor<4> {
        self.conv.forward(hidden_states)
    }
}

/// Upsamples by nearest neighbours, then applies a 3x3 convolution (diffusers' `Upsample2D`).
#[derive(Module, Debug)]
pub struct Upsample2D {
    conv: Conv2d,
}

impl Upsample2D {
    /// Initialises the layer.
    pub fn new(channels: usize, device: &Device) -> Self {
        Self { conv: Conv2d::new_3x3(channels, channels, device) }
    }

    /// Upsamples to `size` (rows, columns).
    ///
    /// The U-Net names the size of the skip connection that follows: for latents whose sides are no
    /// multiple of the total reduction it is one less than double.
    ///
    /// # Shapes
    /// - input: `[batch, rows, columns, channels]`
    /// - output: `[batch, size[0], size[1], channels]`
    pub fn forward(&self, hidden_states: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
        self.conv.forward_after(Before::Enlargement(size), hidden_states, None, None)
    }
}

pub(super) fn upsample_nearest(map: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let options = InterpolateOptions::new(InterpolateMode::Nearest).with_output_size(size);
    channels_last(interpolate(channels_first(map), options))
}
