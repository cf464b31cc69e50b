use burn::nn::GroupNormConfig;
use burn::tensor::activation::{gelu, silu, softmax};
use burn::tensor::module::{conv2d, interpolate, linear};
use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor};

use crate::nn::{Activation, LayerNorm, attention, attention_probs, group_norm, layer_norm};
use crate::{ComputeError, NoiseKind, NoiseSource, read};

/// One operation of the networks on two devices.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationCheck {
    /// What it is.
    pub name: &'static str,
    /// The largest difference, or why there was none to be had.
    pub difference: Result<Difference, ComputeError>,
}

/// How far a device is from the reference: the largest difference of an element, as a share of the largest element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Of the result.
    pub value: f32,
    /// Of the gradient by the input.
    pub gradient: f32,
}

/// Runs the operations that the networks are made of, and their gradients, on a device and on a reference.
///
/// A graphics driver, or a kernel chosen for it, may be wrong in one of them only: in a matrix product but not in a
/// convolution, in a gradient but not in the result. All is in single precision, where rounding leaves differences of
/// some 1e-6; 1e-3 is far from what is right.
pub fn check_operations(device: &Device, reference: &Device) -> Vec<OperationCheck> {
    let check =
        |operation: &Operation| OperationCheck { name: operation.0, difference: operation.compare(device, reference) };
    OPERATIONS.iter().map(check).collect()
}

struct Operation(&'static str, [usize; 4], fn(Tensor<4>, &mut Constants) -> Tensor<4>);

const OPERATIONS: [Operation; 14] = [
    // Both factors have a gradient; that of the second was found missing on a GPU.
    Operation("product with itself, transposed", [1, 1, 16, 16], |x, _| softmax(x.clone().matmul(x.transpose()), 3)),
    Operation("linear layer", [1, 1, 96, 64], |x, c| linear(x, c.next([64, 160]), Some(c.next([160])))),
    Operation("convolution 3x3", [2, 32, 16, 16], |x, c| convolution(x, c, [48, 32, 3, 3], 1)),
    Operation("convolution 3x3, stride 2", [1, 32, 16, 16], |x, c| convolution(x, c, [32, 32, 3, 3], 2)),
    Operation("convolution 1x1", [1, 32, 16, 16], |x, c| convolution(x, c, [48, 32, 1, 1], 1)),
    Operation("group normalisation", [2, 8, 8, 32], |x, c| {
        group_norm(&GroupNormConfig::new(8, 32).init(&c.device), x, Activation::Silu)
    }),
    // As at the end of a VAE: a sum over many values was found cut short.
    Operation("group normalisation, large", [1, 256, 256, 4], |x, c| {
        group_norm(&GroupNormConfig::new(2, 4).init(&c.device), x, Activation::None)
    }),
    Operation("layer normalisation", [1, 1, 64, 48], |x, c| {
        layer_norm(&LayerNorm::new(48, 1e-5, &c.device), x.squeeze_dim(0)).unsqueeze()
    }),
    Operation("SiLU and GELU", [1, 8, 16, 16], |x, _| silu(x.clone()) * gelu(x)),
    Operation("attention probabilities", [1, 1, 64, 32], |x, c| {
        let key: Tensor<4> = c.next([1, 1, 77, 32]);
        attention_probs(x.squeeze_dim(0), key.squeeze_dim(0), 2)
    }),
    Operation("self-attention", [1, 1, 64, 32], |x, _| {
        let x: Tensor<3> = x.squeeze_dim(0);
        attention(x.clone(), x.clone(), x, 2).unsqueeze()
    }),
    Operation("nearest-neighbour enlargement", [1, 8, 8, 6], |x, _| {
        interpolate(x, InterpolateOptions::new(InterpolateMode::Nearest).with_output_size([15, 12]))
    }),
    Operation("joining and cutting", [2, 8, 8, 8], |x, _| {
        Tensor::cat(vec![x.clone(), x * 2.0], 1).narrow(1, 4, 8).swap_dims(1, 3)
    }),
    Operation("maximum", [1, 3, 16, 16], |x, _| x.reshape([1, 1, 3, 256]).max_dim(3)),
];

impl Operation {
    fn compare(&self, device: &Device, reference: &Device) -> Result<Difference, ComputeError> {
        let (value, gradient) = self.on(device)?;
        let (expected_value, expected_gradient) = self.on(reference)?;
        Ok(Difference {
            value: largest_difference(&value, &expected_value),
            gradient: largest_difference(&gradient, &expected_gradient),
        })
    }

    /// The result, and the gradient of a weighted sum of its squares by the input.
    fn on(&self, device: &Device) -> Result<(Vec<f32>, Vec<f32>), ComputeError> {
        let mut constants = Constants { noise: NoiseSource::new(NoiseKind::TorchCpu, 0), device: device.clone() };
        let input = constants.next(self.1).autodiff().require_grad();
        let output = (self.2)(input.clone(), &mut constants);
        let weights = constants.next(output.dims());
        let mut gradients = (output.clone().square() * weights).sum().backward();
        let gradient = input.grad_remove(&mut gradients).expect("every operation depends on its input");
        Ok((read(output.without_autodiff())?, read(gradient)?))
    }
}

/// The same numbers on every device.
struct Constants {
    noise: NoiseSource,
    device: Device,
}

impl Constants {
    fn next<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<D> {
        self.noise.tensor(shape, &self.device)
    }
}

fn convolution(x: Tensor<4>, constants: &mut Constants, weight: [usize; 4], stride: usize) -> Tensor<4> {
    let padding = weight[2] / 2;
    let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
    conv2d(x, constants.next(weight), Some(constants.next([weight[0]])), options)
}

/// As a share of the largest element expected; infinite where a value is no number.
fn largest_difference(actual: &[f32], expected: &[f32]) -> f32 {
    let largest = expected.iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    let difference = |(a, e): (&f32, &f32)| if a.is_finite() { (a - e).abs() / largest } else { f32::INFINITY };
    actual.iter().zip(expected).map(difference).fold(0.0, f32::max)
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use super::*;

    #[test]
    fn every_operation_computes_and_has_a_gradient() {
        let device = Device::flex();
        for operation in &OPERATIONS {
            let (value, gradient) = operation.on(&device).unwrap();
            for (what, numbers) in [("value", value), ("gradient", gradient)] {
                let nonzero = numbers.iter().filter(|number| number.abs() > 1e-6).count();
                assert!(nonzero * 300 > numbers.len(), "{}: {what} is {nonzero} of {}", operation.0, numbers.len());
            }
        }
    }

    #[test]
    fn a_device_agrees_with_itself_and_wrong_numbers_are_seen() {
        let device = Device::flex();
        for check in check_operations(&device, &device) {
            assert_eq!(check.difference, Ok(Difference { value: 0.0, gradient: 0.0 }), "{}", check.name);
        }
        assert!((largest_difference(&[1.0, 2.0], &[1.0, 4.0]) - 0.5).abs() < 1e-6);
        assert!(largest_difference(&[f32::NAN], &[1.0]).is_infinite());
    }
}
