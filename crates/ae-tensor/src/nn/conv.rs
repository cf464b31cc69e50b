use burn::module::{Module, Param};
use burn::nn::conv::{self, Conv2dConfig};
use burn::nn::{GroupNorm, PaddingConfig2d};
use burn::tensor::{DType, Device, Tensor};

use super::computed::computed_dtype;
#[cfg(feature = "cpu")]
use super::cpu::Prepared;
use super::group_norm::{Activation, group_norm};
use super::layout::{channels_first, channels_last};
use super::resample::upsample_nearest;
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

/// The layer before a convolution. On the CPU the convolution forms its output some rows at a time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Before<'a> {
    Nothing,
    /// A group normalisation and a SiLU.
    Norm(&'a GroupNorm),
    /// An enlargement to rows and columns.
    Enlargement([usize; 2]),
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
    /// The memory of an input or residual that nobody else holds may become that of the output.
    ///
    /// # Shapes
    /// - input: `[batch, rows, columns, in_channels]`
    /// - shift: `[out_channels]`
    /// - residual and output: `[batch, rows, columns, out_channels]`
    pub fn forward_plus(&self, input: Tensor<4>, shift: Option<Tensor<1>>, residual: Option<Tensor<4>>) -> Tensor<4> {
        self.forward_after(Before::Nothing, input, shift, residual)
    }

    /// The same of a feature map that is normalised and activated by a SiLU. On the CPU the normalised map never exists as a whole.
    ///
    /// # Shapes
    /// - input: `[batch, rows, columns, in_channels]`
    /// - shift: `[out_channels]`
    /// - residual and output: `[batch, rows, columns, out_channels]`
    pub fn forward_normed(
        &self,
        norm: &GroupNorm,
        input: Tensor<4>,
        shift: Option<Tensor<1>>,
        residual: Option<Tensor<4>>,
    ) -> Tensor<4> {
        self.forward_after(Before::Norm(norm), input, shift, residual)
    }

    pub(super) fn forward_after(
        &self,
        before: Before<'_>,
        input: Tensor<4>,
        shift: Option<Tensor<1>>,
        residual: Option<Tensor<4>>,
    ) -> Tensor<4> {
        #[cfg(feature = "cpu")]
        if let Some(compute) = super::cpu::conv2d(self, before, &input, shift.as_ref(), residual.as_ref()) {
            // What only the operation holds, it may write over.
            drop((input, residual));
            return compute();
        }
        let input = match before {
            Before::Nothing => return self.by_burn(input, shift, residual),
            Before::Norm(norm) => group_norm(norm, input, Activation::Silu),
            Before::Enlargement(size) => upsample_nearest(input, size),
        };
        self.forward_plus(input, shift, residual)
    }

    fn by_burn(&self, input: Tensor<4>, shift: Option<Tensor<1>>, residual: Option<Tensor<4>>) -> Tensor<4> {
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

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::nn::GroupNormConfig;
    use burn::tensor::{Distribution, Tolerance};

    use super::*;

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.3, 1.0), &Device::flex())
    }

    fn norm() -> GroupNorm {
        let mut norm = GroupNormConfig::new(4, 16).with_epsilon(1e-6).init(&Device::flex());
        (norm.gamma, norm.beta) = (Some(Param::from_tensor(random([16]))), Some(Param::from_tensor(random([16]))));
        norm
    }

    #[test]
    fn with_a_norm_before_it_it_is_both_bit_for_bit_forwards_and_backwards() {
        let (norm, conv) = (norm(), Conv2d::new_3x3(16, 24, &Device::flex()));
        for [batch, rows, columns] in [[1, 17, 30], [3, 1, 70], [2, 3, 5]] {
            let [input, weights] = [random([batch, rows, columns, 16]), random([batch, rows, columns, 24])];
            let (shift, residual) = (random([24]), random([batch, rows, columns, 24]));
            let of = |layer: &dyn Fn(Tensor<4>, Option<Tensor<1>>, Option<Tensor<4>>) -> Tensor<4>| {
                let [input, residual] = [&input, &residual].map(|tensor| tensor.clone().autodiff().require_grad());
                let output = layer(input.clone(), Some(shift.clone()), Some(residual.clone()));
                let gradients = (output.clone() * weights.clone()).sum().backward();
                let plain = layer(input.clone().inner(), Some(shift.clone()), Some(residual.clone().inner()));
                assert_eq!(plain.into_data(), output.clone().inner().into_data());
                let by = [input, residual].map(|tensor| tensor.grad(&gradients).unwrap().into_data());
                (output.inner().into_data(), by)
            };
            let apart = of(&|input, shift, residual| {
                conv.forward_plus(group_norm(&norm, input, Activation::Silu), shift, residual)
            });
            assert_eq!(of(&|input, shift, residual| conv.forward_normed(&norm, input, shift, residual)), apart);
        }
    }

    #[test]
    fn with_an_enlargement_before_it_it_is_both_forwards_and_backwards() {
        let conv = Conv2d::new_3x3(16, 24, &Device::flex());
        for ([batch, rows, columns], size) in [([1, 17, 30], [34, 60]), ([3, 1, 40], [2, 79]), ([2, 3, 5], [5, 9])] {
            let (input, weights) = (random([batch, rows, columns, 16]), random([batch, size[0], size[1], 24]));
            let of = |layer: &dyn Fn(Tensor<4>) -> Tensor<4>| {
                let input = input.clone().autodiff().require_grad();
                let output = layer(input.clone());
                let gradients = (output.clone() * weights.clone()).sum().backward();
                (output.inner().into_data(), input.grad(&gradients).unwrap().into_data())
            };
            let (apart, by_input) = of(&|input| conv.forward(upsample_nearest(input, size)));
            let (output, gradient) = of(&|input| conv.forward_after(Before::Enlargement(size), input, None, None));
            assert_eq!(output, apart);
            gradient.assert_approx_eq(&by_input, Tolerance::<f32>::rel_abs(1e-5, 1e-5));
        }
    }

    #[test]
    fn an_input_or_residual_that_somebody_else_holds_stays_as_it_is() {
        let (norm, device) = (norm(), Device::flex());
        let [map, residual] = [(); 2].map(|()| random([1, 12, 13, 16]));
        let copies = [&map, &residual].map(|tensor| Tensor::<4>::from_data(tensor.to_data(), &device));
        let (large, small) = (Conv2d::new_3x3(16, 16, &device), Conv2d::new_1x1(16, 8, &device));
        let outputs = |map: Tensor<4>, residual: Tensor<4>| {
            let large = large.forward_normed(&norm, map.clone(), None, Some(residual));
            [large.into_data(), small.forward(map).into_data()]
        };
        let kept = outputs(map.clone(), residual.clone());
        let [map_again, residual_again] = copies.each_ref().map(Tensor::to_data);
        assert_eq!([map.into_data(), residual.into_data()], [map_again, residual_again]);
        let [map, residual] = copies;
        assert_eq!(outputs(map, residual), kept);
    }
}
