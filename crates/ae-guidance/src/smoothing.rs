use ae_tensor::nn::smoothed;
use burn::tensor::Tensor;

use crate::GuidanceError;

/// The Gaussian filter over a subject's map (official `utils/gaussian_smoothing.py`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaussianSmoothing {
    /// Side of the kernel in patches, odd.
    pub kernel_size: usize,
    /// Width of the reference's kernel, `exp(-((x - mean) / (2 sigma))^2)`: its standard deviation is
    /// the square root of two times this number.
    pub sigma: f64,
}

impl Default for GaussianSmoothing {
    fn default() -> Self {
        Self { kernel_size: 3, sigma: 0.5 }
    }
}

impl GaussianSmoothing {
    pub(crate) fn check(self) -> Result<(), GuidanceError> {
        let Self { kernel_size, sigma } = self;
        if kernel_size % 2 == 0 {
            let value = kernel_size.to_string();
            return Err(GuidanceError::Setting { name: "kernel-size", value, expected: "an odd number" });
        }
        if !(sigma.is_finite() && sigma > 0.0) {
            let value = crate::error::number(sigma);
            return Err(GuidanceError::Setting { name: "sigma", value, expected: "a positive number" });
        }
        Ok(())
    }

    /// Patches that the filter reaches beyond the border on each side.
    pub(crate) fn radius(self) -> usize {
        self.kernel_size / 2
    }

    /// The kernel, row by row; it sums to one.
    pub fn kernel(self) -> Vec<f32> {
        let centre = self.radius() as f64;
        let weight = |i: usize| (-((i as f64 - centre) / (2.0 * self.sigma)).powi(2)).exp();
        let line: Vec<f64> = (0..self.kernel_size).map(weight).collect();
        let total = line.iter().sum::<f64>().powi(2);
        line.iter().flat_map(|a| line.iter().map(move |b| (a * b / total) as f32)).collect()
    }

    /// Filters every map, reflecting at the borders.
    ///
    /// # Shapes
    /// - maps and output: `[batch, subjects, rows, cols]`
    pub fn forward(self, maps: Tensor<4>) -> Tensor<4> {
        smoothed(maps, &self.kernel())
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData, Tolerance};

    use super::*;

    /// `GaussianSmoothing().weight` of diffusers' pipeline.
    #[test]
    fn the_kernel_is_the_references() {
        let (centre, edge, corner) = (0.331_911, 0.122_103, 0.044_919);
        let expected = [corner, edge, corner, edge, centre, edge, corner, edge, corner];
        for (weight, expected) in GaussianSmoothing::default().kernel().iter().zip(expected) {
            assert!((weight - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn a_constant_map_stays_and_borders_are_reflected() {
        let device = Device::flex();
        let smoothing = GaussianSmoothing { kernel_size: 5, sigma: 1.0 };
        let constant = Tensor::<4>::ones([2, 3, 4, 5], &device);
        let smoothed = smoothing.forward(constant.clone());
        smoothed.into_data().assert_approx_eq::<f32>(&constant.into_data(), Tolerance::absolute(1e-6));

        // One patch in the corner: reflection leaves the border itself single, so the corner keeps the centre weight.
        let mut corner = vec![0.0_f32; 16];
        corner[0] = 1.0;
        let corner = Tensor::<4>::from_data(TensorData::new(corner, [1, 1, 4, 4]), &device);
        let values = GaussianSmoothing::default().forward(corner).into_data().try_into_vec_as::<f32>().unwrap();
        assert!((values[0] - 0.331_911).abs() < 1e-5, "{values:?}");
        assert!((values[1] - 0.122_103).abs() < 1e-5, "{values:?}");
    }
}
