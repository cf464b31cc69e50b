use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};

use super::maps::{channels_first, channels_last};

/// A 3x3 convolution of stride 1 that keeps the size of the picture.
pub fn conv3x3(in_channels: usize, out_channels: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([in_channels, out_channels], [3, 3])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .init(device)
}

/// A 1x1 convolution.
pub fn conv1x1(in_channels: usize, out_channels: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([in_channels, out_channels], [1, 1])
        .with_padding(PaddingConfig2d::Explicit(0, 0, 0, 0))
        .init(device)
}

/// A convolution of a feature map.
///
/// # Shapes
/// - input: `[batch, rows, columns, in_channels]`
/// - output: `[batch, rows, columns, out_channels]`
pub fn conv2d(layer: &Conv2d, input: Tensor<4>) -> Tensor<4> {
    conv2d_plus(layer, input, None, None)
}

/// A convolution of a feature map, plus `shift` by channel and `residual` by element.
///
/// # Shapes
/// - input: `[batch, rows, columns, in_channels]`
/// - shift: `[out_channels]`
/// - residual and output: `[batch, rows, columns, out_channels]`
pub fn conv2d_plus(
    layer: &Conv2d,
    input: Tensor<4>,
    shift: Option<Tensor<1>>,
    residual: Option<Tensor<4>>,
) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if let Some(output) = super::cpu::conv2d(layer, &input, shift.as_ref(), residual.as_ref()) {
        return output;
    }
    let mut output = channels_last(layer.forward(channels_first(input)));
    if let Some(shift) = shift {
        output = output + shift.unsqueeze();
    }
    match residual {
        Some(residual) => output + residual,
        None => output,
    }
}
