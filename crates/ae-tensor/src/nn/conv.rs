use burn::module::{Module, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{self, Conv2dConfig};
use burn::tensor::{DType, Device, Tensor};

use super::computed::computed_dtype;
#[cfg(feature = "cpu")]
use super::cpu::Prepared;
use super::layout::{channels_first, channels_last};
use crate::quantized::floats;

/// A convolution of feature maps, with the parameters of torch's and burn's `Conv2d`.
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[out_channels, in_channels, rows, columns]`
    pub(super) weight: Param<Tensor<4>>,
    /// `[out_channels]`
    pub(super) bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    pub(super) stride: usize,
    /// Top, left, bottom, right.
    #[module(skip)]
    pub(super) padding: [usize; 4],
    #[cfg(feature = "cpu")]
    #[module(skip)]
    pub(super) prepared: Prepared,
}

impl Conv2d {
    /// A square kernel over `[in, out]` channels, padded by so many pixels at the top, left, bottom and right.
    pub fn new(channels: [usize; 2], kernel: usize, stride: usize, padding: [usize; 4], device: &Device) -> Self {
        let conv::Conv2d { weight, bias, .. } = Conv2dConfig::new(channels, [kernel; 2]).init(device);
        Self {
            weight,
            bias,
            stride,
            padding,
            #[cfg(feature = "cpu")]
            prepared: Prepared::default(),
        }
    }

    /// A 3x3 convolution of stride 1 that keeps the size of the picture.
    pub fn new_3x3(in_channels: usize, out_channels: usize, device: &Device) -> Self {
        Self::new([in_channels, out_channels], 3, 1, [1; 4], device)
    }

    /// A 1x1 convolution.
    pub fn new_1x1(in_channels: usize, out_channels: usize, device: &Device) -> Self {
        Self::new([in_channels, out_channels], 1, 1, [0; 4], device)
    }

    /// The device of the parameters.
    pub fn device(&self) -> Device {
        self.weight.device()
    }

    /// The layer without a bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// The type that the layer takes and gives: on the CPU single precision, in whatever type its weights are kept, elsewhere theirs.
    pub fn dtype(&self) -> DType {
        computed_dtype(&self.weight.val())
    }

    /// # Shapes
    /// - input: `[batch, rows, columns, in_channels]`
    /// - output: `[batch, rows, columns, out_channels]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.forward_plus(input, None, None)
    }

    /// The convolution, plus `shift` by channel and `residual` by element.
    ///
    /// # Shapes
    /// - input: `[batch, rows, columns, in_channels]`
    /// - shift: `[out_channels]`
    /// - residual and output: `[batch, rows, columns, out_channels]`
    pub fn forward_plus(&self, input: Tensor<4>, shift: Option<Tensor<1>>, residual: Option<Tensor<4>>) -> Tensor<4> {
        #[cfg(feature = "cpu")]
        if let Some(output) = super::cpu::conv2d(self, &input, shift.as_ref(), residual.as_ref()) {
            return output;
        }
        let mut output = channels_last(self.of_burn(input.dtype()).forward(channels_first(input)));
        if let Some(shift) = shift {
            output = output + shift.unsqueeze();
        }
        match residual {
            Some(residual) => output + residual,
            None => output,
        }
    }

    /// The layer of burn with these parameters, in a type.
    fn of_burn(&self, dtype: DType) -> conv::Conv2d {
        let [.., rows, columns] = self.weight.dims();
        let [top, left, bottom, right] = self.padding;
        let (mut weight, mut bias) = (self.weight.clone(), self.bias.clone());
        if weight.dtype() != dtype {
            weight = weight.map(|weight| floats(weight).cast(dtype));
            bias = bias.map(|bias| bias.map(|bias| bias.cast(dtype)));
        }
        conv::Conv2d {
            weight,
            bias,
            stride: [self.stride; 2],
            kernel_size: [rows, columns],
            dilation: [1; 2],
            groups: 1,
            padding: PaddingConfig2d::Explicit(top, left, bottom, right),
        }
    }
}
