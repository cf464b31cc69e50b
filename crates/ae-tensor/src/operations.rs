use std::time::{Duration, Instant};

use burn::nn::GroupNormConfig;
use burn::tensor::activation::{gelu, silu, softmax};
use burn::tensor::module::{conv2d, interpolate, linear};
use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor};

use crate::nn::{Activation, LayerNorm, attention, attention_probs, group_norm, layer_norm, recomputed_attention};
use crate::{ComputeError, NoiseKind, NoiseSource, read};

/// One operation of the networks on two devices.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationCheck {
    /// What it is.
    pub name: &'static str,
    /// The largest difference, or why there was none to be had.
    pub difference: Result<Difference, ComputeError>,
    /// How long it took, with the compiling of its kernels.
    pub took: Duration,
}

/// How many of the operations are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Those that drivers were found to be wrong in, and those whose kernels all networks are made of.
    Quick,
    /// All.
    Full,
}

/// How far a device is from the reference: the largest difference of an element, as a share of the largest element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Of the result.
    pub value: f32,
    /// Of the gradient by the input.
    pub gradient: f32,
}

/// Runs operations that the networks are made of, and their gradients, on a device and on a reference, each when the iterator comes to it.
///
/// A graphics driver, or a kernel chosen for it, may be wrong in one of them only: in a matrix product but not in a
/// convolution, in a gradient but not in the result. All is in single precision, where rounding leaves differences of
/// some 1e-6; 1e-3 is far from what is right.
///
/// Most of the time goes into compiling kernels, of which a GPU tries many for every shape of a product or convolution: the operations
/// have as few different shapes as they can.
pub fn check_operations(
    device: &Device,
    reference: &Device,
    extent: Extent,
) -> impl Iterator<Item = OperationCheck> + use<> {
    let operations = match extent {
        Extent::Quick => &OPERATIONS[..QUICK],
        Extent::Full => &OPERATIONS[..],
    };
    let (device, reference) = (device.clone(), reference.clone());
    operations.iter().map(move |operation| {
        let start = Instant::now();
        let difference = operation.compare(&device, &reference);
        OperationCheck { name: operation.0, difference, took: start.elapsed() }
    })
}

struct Operation(&'static str, [usize; 4], fn(Tensor<4>, &mut Constants) -> Tensor<4>);

/// How many of the operations are the quick part.
const QUICK: usize = 5;

const OPERATIONS: [Operation; 15] = [
    // Both factors have a gradient; that of the second was found missing on a GPU.
    Operation("product with itself, transposed", [1, 2, 64, 16], |x, _| softmax(x.clone().matmul(x.transpose()), 3)),
    Operation("linear layer", [1, 1, 64, 32], |x, c| linear(x, c.next([32, 64]), Some(c.next([64])))),
    Operation("convolution 3x3", [2, 32, 16, 16], |x, c| convolution(x, c, 3, 1)),
    // As at the end of a VAE: a sum over many values was found cut short.
    Operation("group normalisation, large", [1, 256, 256, 4], |x, c| {
        group_norm(&GroupNormConfig::new(2, 4).init(&c.device), x, Activation::None)
    }),
    Operation("attention probabilities", [1, 1, 64, 32], |x, c| {
        let key: Tensor<4> = c.next([1, 1, 77, 32]);
        attention_probs(x.squeeze_dim(0), key.squeeze_dim(0), 2)
    }),
    Operation("convolution 3x3, stride 2", [2, 32, 16, 16], |x, c| convolution(x, c, 3, 2)),
    Operation("convolution 1x1", [2, 32, 16, 16], |x, c| convolution(x, c, 1, 1)),
    Operation("group normalisation", [2, 8, 8, 32], |x, c| {
        group_norm(&GroupNormConfig::new(8, 32).init(&c.device), x, Activation::Silu)
    }),
    Operation("layer normalisation", [1, 1, 64, 48], |x, c| {
        layer_norm(&LayerNorm::new(48, 1e-5, &c.device), x.squeeze_dim(0)).unsqueeze()
    }),
    Operation("SiLU and GELU", [1, 8, 16, 16], |x, _| silu(x.clone()) * gelu(x)),
    Operation("self-attention", [1, 1, 64, 32], |x, _| {
        let x: Tensor<3> = x.squeeze_dim(0);
        attention(x.clone(), x.clone(), x, 2).unsqueeze()
    }),
    Operation("self-attention, computed again", [1, 1, 64, 32], |x, _| {
        recomputed_attention(x.squeeze_dim(0), |x| [x.clone(), x.clone(), x], 2).unsqueeze()
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

/// From as many channels as all of them have to as many.
fn convolution(x: Tensor<4>, constants: &mut Constants, kernel: usize, stride: usize) -> Tensor<4> {
    const CHANNELS: usize = 32;
    let options = ConvOptions::new([stride; 2], [kernel / 2; 2], [1; 2], 1);
    conv2d(x, constants.next([CHANNELS, CHANNELS, kernel, kernel]), Some(constants.next([CHANNELS])), options)
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
        let names = |extent| check_operations(&device, &device, extent).map(|check| check.name).collect::<Vec<_>>();
        let (quick, full) = (names(Extent::Quick), names(Extent::Full));
        assert!(full.starts_with(&quick) && (quick.len(), full.len()) == (QUICK, OPERATIONS.len()));
        for check in check_operations(&device, &device, Extent::Full) {
            assert_eq!(check.difference, Ok(Difference { value: 0.0, gradient: 0.0 }), "{}", check.name);
        }
        assert!((largest_difference(&[1.0, 2.0], &[1.0, 4.0]) - 0.5).abs() < 1e-6);
        assert!(largest_difference(&[f32::NAN], &[1.0]).is_infinite());
    }
}
