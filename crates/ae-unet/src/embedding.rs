use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor, TensorData};

/// Longest period of the sinusoids, in timesteps.
const MAX_PERIOD: f32 = 10_000.0;

/// Sinusoidal features of a timestep (diffusers' `models/embeddings.py`, `get_timestep_embedding`).
///
/// Computed on the host: it is one row of a few hundred numbers per pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeProjection {
    pub(crate) channels: usize,
    pub(crate) flip_sin_to_cos: bool,
    pub(crate) freq_shift: f64,
}

impl TimeProjection {
    /// # Shapes
    /// - output: `[1, channels]`
    pub(crate) fn forward(self, timestep: f64, device: &Device) -> Tensor<2> {
        let half = self.channels / 2;
        let timestep = timestep as f32;
        // Single precision up to the argument, as in the reference: at t = 981 its rounding shows.
        let angles: Vec<f64> = (0..half)
            .map(|i| {
                let exponent = -MAX_PERIOD.ln() * i as f32 / (half as f32 - self.freq_shift as f32);
                f64::from(timestep * exponent.exp())
            })
            .collect();
        let sines = angles.iter().map(|angle| angle.sin() as f32);
        let cosines = angles.iter().map(|angle| angle.cos() as f32);
        let mut values: Vec<f32> =
            if self.flip_sin_to_cos { cosines.chain(sines).collect() } else { sines.chain(cosines).collect() };
        // An odd width is filled up with a zero.
        values.resize(self.channels, 0.0);
        Tensor::from_data(TensorData::new(values, [1, self.channels]), device)
    }
}

/// The two-layer network behind the sinusoids (diffusers' `TimestepEmbedding`).
#[derive(Module, Debug)]
pub(crate) struct TimestepEmbedding {
    linear_1: Linear,
    linear_2: Linear,
}

impl TimestepEmbedding {
    pub(crate) fn new(in_channels: usize, channels: usize, device: &Device) -> Self {
        Self {
            linear_1: LinearConfig::new(in_channels, channels).init(device),
            linear_2: LinearConfig::new(channels, channels).init(device),
        }
    }

    /// # Shapes
    /// - input: `[batch, in_channels]`
    /// - output: `[batch, channels]`
    pub(crate) fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        self.linear_2.forward(silu(self.linear_1.forward(features)))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tolerance;

    use super::*;

    /// `get_timestep_embedding(torch.tensor([981]), 8, flip_sin_to_cos=True, downscale_freq_shift=0)`
    #[test]
    fn equals_the_reference_embedding() {
        let projection = TimeProjection { channels: 8, flip_sin_to_cos: true, freq_shift: 0.0 };
        let expected = [
            0.679_957_2,
            -0.757_958_5,
            -0.926_715_2,
            0.556_191_8,
            0.733_251_8,
            -0.652_302_74,
            -0.375_764_43,
            0.831_054_f32,
        ];
        let actual = projection.forward(981.0, &Device::flex());
        actual
            .into_data()
            .assert_approx_eq::<f32>(&TensorData::new(expected.to_vec(), [1, 8]), Tolerance::absolute(1e-6));
    }

    #[test]
    fn an_odd_width_ends_in_zero() {
        let projection = TimeProjection { channels: 5, flip_sin_to_cos: false, freq_shift: 1.0 };
        let values = projection.forward(3.0, &Device::flex()).into_data().try_into_vec_as::<f32>().unwrap();
        assert_eq!((values.len(), values[4]), (5, 0.0));
    }
}
