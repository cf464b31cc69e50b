use burn::tensor::module::conv2d;
use burn::tensor::ops::{ConvOptions, PadMode};
use burn::tensor::{Tensor, TensorData};

/// Maps filtered by a square, and reflected at their borders.
///
/// # Shapes
/// - maps and output: `[batch, maps, rows, cols]`
/// - weights: the filter row by row, of an odd side
///
/// # Panics
///
/// When a map is not larger than the filter reaches beyond its border.
pub fn smoothed(maps: Tensor<4>, weights: &[f32]) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if let Some(output) = super::cpu::smoothed(&maps, weights) {
        return output;
    }
    by_convolution(maps, weights)
}

fn by_convolution(maps: Tensor<4>, weights: &[f32]) -> Tensor<4> {
    let shape @ [batch, count, rows, cols] = maps.dims();
    let side = weights.len().isqrt();
    let reach = (side / 2, side / 2);
    // A constant: it goes to the plain side of the device.
    let weights = TensorData::new(weights.to_vec(), [1, 1, side, side]);
    let weights = Tensor::from_data(weights, &maps.device().without_autodiff());
    let padded = maps.reshape([batch * count, 1, rows, cols]).pad([reach, reach], PadMode::Reflect);
    conv2d(padded, weights, None, ConvOptions::new([1, 1], [0, 0], [1, 1], 1)).reshape(shape)
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;

    #[test]
    fn the_kernel_is_burns_convolution_forwards_and_backwards() {
        let random = |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Default, &Device::flex());
        let (maps, factors) = (random([2, 3, 5, 4]), random([2, 3, 5, 4]));
        let weights: Vec<f32> = (0u8..9).map(|i| f32::from(i) / 9.0).collect();
        let of = |filter: fn(Tensor<4>, &[f32]) -> Tensor<4>| {
            let maps = maps.clone().autodiff().require_grad();
            let output = filter(maps.clone(), &weights);
            let gradients = (output.clone() * factors.clone()).sum().backward();
            [output.inner().into_data(), maps.grad(&gradients).unwrap().into_data()]
        };
        for (ours, burns) in of(smoothed).into_iter().zip(of(by_convolution)) {
            ours.assert_approx_eq(&burns, Tolerance::<f32>::rel_abs(1e-5, 1e-6));
        }
    }
}
