//! The schedule of the samplers that walk noise levels: Euler, Heun, LMS and DPM2.

use burn::tensor::Tensor;

use crate::prediction::{Mix, ReadPrediction};
use crate::schedule::training_sigmas;
use crate::sigmas::{interpolate, spread, variance_preserving, with_final};
use crate::timesteps::timesteps;
use crate::{PredictionType, SchedulerConfig, SchedulerError};
use ae_settings::TimestepSpacing as Spacing;

/// Timesteps and their noise levels, after those left out.
///
/// Samples are `x0 + sigma * noise`, of variance `sigma^2 + 1`: the model input must be scaled.
#[derive(Debug)]
pub(crate) struct NoiseLevels {
    pub(crate) timesteps: Vec<f64>,
    /// One more than timesteps: the last is where the run ends.
    pub(crate) sigmas: Vec<f64>,
    pub(crate) init_noise_sigma: f64,
}

impl NoiseLevels {
    /// The noise levels of `steps` steps as the config spaces and spreads them, without the first `first`.
    pub(crate) fn new(config: &SchedulerConfig, steps: usize, first: usize) -> Result<Self, SchedulerError> {
        let training_sigmas = training_sigmas(config);
        let spacing = config.timestep_spacing.unwrap_or(Spacing::Linspace);
        // The dtype of diffusers' timesteps.
        let single = |timesteps: Vec<f64>| timesteps.into_iter().map(|t| f64::from(t as f32)).collect();
        let mut timesteps: Vec<f64> = single(timesteps(config, spacing, steps)?);
        let mut sigmas: Vec<f64> = timesteps.iter().map(|&t| interpolate(&training_sigmas, t)).collect();
        let range = (sigmas[sigmas.len() - 1], sigmas[0]);
        if let Some(spread) = spread(config, &training_sigmas, range, steps) {
            (timesteps, sigmas) = (single(spread.0), spread.1);
        }
        let sigmas = with_final(&training_sigmas, sigmas, config.final_sigmas_type);
        let max = sigmas.iter().copied().fold(0.0, f64::max);
        let init_noise_sigma = match spacing {
            // The first timestep is not the noisiest: its sample has signal in it.
            Spacing::Leading => deviation(max),
            Spacing::Linspace | Spacing::Trailing => max,
        };
        Ok(Self { timesteps: timesteps.split_off(first), sigmas: sigmas[first..].to_vec(), init_noise_sigma })
    }

    /// A clean sample with noise of the level of a step.
    pub(crate) fn add_noise(&self, sample: Tensor<4>, noise: Tensor<4>, step: usize) -> Tensor<4> {
        Mix::noisy(1.0, self.sigmas[step]).apply(sample, noise)
    }

    /// The sample's standard deviation at a step, by which the model input is divided.
    pub(crate) fn deviation(&self, step: usize) -> f64 {
        deviation(self.sigmas[step])
    }
}

/// The standard deviation of a sample at noise level `sigma`.
pub(crate) fn deviation(sigma: f64) -> f64 {
    (sigma * sigma + 1.0).sqrt()
}

/// `(x - x0) / sigma`, the derivative of the sample by the noise level (Karras et al. 2022), from the sample and the model output.
pub(crate) fn derivative(prediction: PredictionType, sigma: f64) -> Mix {
    let (alpha, vp_sigma) = variance_preserving(sigma);
    // The prediction types are defined on the variance-preserving sample, `alpha` times ours.
    let clean = prediction.clean_sample(alpha, vp_sigma);
    Mix { sample: (1.0 - alpha * clean.sample) / sigma, output: -clean.output / sigma }
}

/// A walk of `length` along a derivative, from the sample.
pub(crate) fn walk(derivative: Mix, length: f64) -> Mix {
    Mix { sample: 1.0 + length * derivative.sample, output: length * derivative.output }
}

/// What every [`Scheduler`](crate::Scheduler) with a field `levels` answers alike, for its `impl`.
macro_rules! of_noise_levels {
    () => {
        fn timesteps(&self) -> &[f64] {
            &self.levels.timesteps
        }

        fn init_noise_sigma(&self) -> f64 {
            self.levels.init_noise_sigma
        }

        fn add_noise(&self, sample: Tensor<4>, noise: Tensor<4>, step: usize) -> Tensor<4> {
            self.levels.add_noise(sample, noise, step)
        }

        fn sample_scale(&self, step: usize) -> f64 {
            self.levels.deviation(step)
        }
    };
}
pub(crate) use of_noise_levels;
