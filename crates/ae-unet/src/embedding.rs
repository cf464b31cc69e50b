use ae_tensor::nn::{linear, silu};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
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

/// Sinusoidal features of a guidance scale (`get_guidance_scale_embedding` of diffusers' pipelines, for the scale less one).
///
/// # Shapes
/// - output: `[1, width]`
pub(crate) fn guidance_features(scale: f64, width: usize, device: &Device) -> Tensor<2> {
    let half = width / 2;
    let scale = (scale - 1.0) as f32 * 1000.0;
    // Single precision, as in the reference: angles of thousands of radians show it.
    let step = MAX_PERIOD.ln() / (half as f32 - 1.0);
    let angles = (0..half).map(|i| f64::from(scale * (i as f32 * -step).exp()));
    let sines = angles.clone().map(|angle| angle.sin() as f32);
    let mut values: Vec<f32> = sines.chain(angles.map(|angle| angle.cos() as f32)).collect();
    values.resize(width, 0.0);
    Tensor::from_data(TensorData::new(values, [1, width]), device)
}

/// The two-layer network behind the sinusoids (diffusers' `TimestepEmbedding`).
#[derive(Module, Debug)]
pub(crate) struct TimestepEmbedding {
    linear_1: Linear,
    linear_2: Linear,
    /// What adds the guidance scale to the features, in models that were distilled with it.
    cond_proj: Option<Linear>,
}

impl TimestepEmbedding {
    pub(crate) fn new(in_channels: usize, channels: usize, guidance: Option<usize>, device: &Device) -> Self {
        let cond_proj = |width| LinearConfig::new(width, in_channels).with_bias(false).init(device);
        Self {
            linear_1: LinearConfig::new(in_channels, channels).init(device),
            linear_2: LinearConfig::new(channels, channels).init(device),
            cond_proj: guidance.map(cond_proj),
        }
    }

    /// # Shapes
    /// - features: `[batch, in_channels]`
    /// - guidance: `[1, width]`, without effect on a model that takes none
    /// - output: `[batch, channels]`
    pub(crate) fn forward(&self, features: Tensor<2>, guidance: Option<Tensor<2>>) -> Tensor<2> {
        let features = match (&self.cond_proj, guidance) {
            (Some(projection), Some(guidance)) => features + linear(projection, guidance, None),
            _ => features,
        };
        linear(&self.linear_2, silu(linear(&self.linear_1, features, None)), None)
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

    /// `StableDiffusionPipeline.get_guidance_scale_embedding(None, torch.tensor([6.5]), 8)`, and of 7.5 with a width of 5.
    #[test]
    fn equals_the_reference_embedding_of_a_guidance_scale() {
        let cases: [(f64, &[f32]); 2] = [
            (
                7.5,
                &[
                    -0.044_784_7,
                    0.110_189_2,
                    0.991_123_3,
                    0.605_186_3,
                    -0.998_996_7,
                    0.993_910_6,
                    0.132_946,
                    0.796_083_9,
                ],
            ),
            (8.5, &[-0.851_235_87, 0.681_638_7, -0.524_783_25, 0.731_688_9, 0.0]),
        ];
        for (scale, expected) in cases {
            let actual = guidance_features(scale, expected.len(), &Device::flex());
            let expected = TensorData::new(expected.to_vec(), [1, expected.len()]);
            actual.into_data().assert_approx_eq::<f32>(&expected, Tolerance::absolute(2e-4));
        }
    }

    #[test]
    fn an_odd_width_ends_in_zero() {
        let projection = TimeProjection { channels: 5, flip_sin_to_cos: false, freq_shift: 1.0 };
        let values = projection.forward(3.0, &Device::flex()).into_data().try_into_vec_as::<f32>().unwrap();
        assert_eq!((values.len(), values[4]), (5, 0.0));
    }
}
