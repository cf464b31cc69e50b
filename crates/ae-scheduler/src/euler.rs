//! Euler's method on the probability flow ODE of Karras et al. (2022), plain and ancestral:
//! diffusers' `scheduling_euler_discrete.py` and `scheduling_euler_ancestral_discrete.py`.

use burn::tensor::Tensor;

use crate::PredictionType;
use crate::prediction::{Mix, ReadPrediction};
use crate::schedule::training_sigmas;
use crate::sigmas::{FinalSigmas, interpolate, spread, variance_preserving, with_final};
use crate::timesteps::timesteps;
use crate::{Scheduler, SchedulerConfig, SchedulerError, SchedulerKind};
use ae_settings::TimestepSpacing as Spacing;

/// Both samplers: they differ in the noise level that a step walks to, and in the noise that the
/// ancestral one adds after it.
///
/// Samples here are `x0 + sigma * noise`, of variance `sigma^2 + 1`: the model input must be scaled.
#[derive(Debug)]
pub(crate) struct Euler {
    timesteps: Vec<f64>,
    init_noise_sigma: f64,
    /// Clean sample and noise at the first timestep.
    start: Mix,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    /// The sample's standard deviation, by which the model input is divided.
    deviation: f64,
    update: Mix,
    /// Standard deviation of the added noise. The plain sampler adds none.
    sigma_up: Option<f64>,
}

impl Euler {
    pub(crate) fn new(config: &SchedulerConfig, steps: usize, first: usize) -> Result<Self, SchedulerError> {
        let training_sigmas = training_sigmas(config);
        let (mut timesteps, mut sigmas) = spaced(config, &training_sigmas, steps)?;
        let range = (sigmas[sigmas.len() - 1], sigmas[0]);
        if let Some(spread) = spread(config, &training_sigmas, range, steps) {
            (timesteps, sigmas) = spread;
            for timestep in &mut timesteps {
                // The dtype of diffusers' timesteps.
                *timestep = f64::from(*timestep as f32);
            }
        }
        let sigmas = with_final(&training_sigmas, sigmas, config.final_sigmas_type);
        let steps = sigmas.windows(2).map(|pair| Step::new(config.prediction_type, pair[0], pair[1], None)).collect();
        Self::assemble(config, timesteps, &sigmas, steps, first).checked(SchedulerKind::Euler)
    }

    pub(crate) fn ancestral(config: &SchedulerConfig, steps: usize, first: usize) -> Result<Self, SchedulerError> {
        let training_sigmas = training_sigmas(config);
        let (timesteps, sigmas) = spaced(config, &training_sigmas, steps)?;
        let sigmas = with_final(&training_sigmas, sigmas, FinalSigmas::Zero);
        let steps = sigmas
            .windows(2)
            .map(|pair| {
                let (from, to) = (pair[0].powi(2), pair[1].powi(2));
                let up = to * (from - to) / from;
                let down = (to - up).sqrt();
                Step::new(config.prediction_type, pair[0], down, Some(up.sqrt()))
            })
            .collect();
        Self::assemble(config, timesteps, &sigmas, steps, first).checked(SchedulerKind::EulerAncestral)
    }

    /// Leaves out the first `first` steps.
    fn assemble(config: &SchedulerConfig, timesteps: Vec<f64>, sigmas: &[f64], steps: Vec<Step>, first: usize) -> Self {
        Self {
            timesteps: timesteps.into_iter().skip(first).collect(),
            init_noise_sigma: init_noise_sigma(config, sigmas),
            start: Mix::noisy(1.0, sigmas[first]),
            steps: steps.into_iter().skip(first).collect(),
        }
    }

    fn checked(self, kind: SchedulerKind) -> Result<Self, SchedulerError> {
        let finite = |step: &Step| step.update.is_finite() && step.sigma_up.is_none_or(f64::is_finite);
        match self.steps.iter().position(|step| !finite(step)) {
            Some(step) => Err(SchedulerError::Degenerate { kind, step, steps: self.steps.len() }),
            None => Ok(self),
        }
    }
}

impl Step {
    fn new(prediction: PredictionType, sigma: f64, sigma_next: f64, sigma_up: Option<f64>) -> Self {
        let (alpha, vp_sigma) = variance_preserving(sigma);
        // The prediction types are defined on the variance-preserving sample, `alpha` times ours.
        let mut clean = prediction.clean_sample(alpha, vp_sigma);
        clean.sample *= alpha;
        // x + (sigma_next - sigma) * (x - x0) / sigma
        let ratio = sigma_next / sigma;
        let identity = Mix { sample: 1.0, output: 0.0 };
        let update = identity.combine(ratio, clean, 1.0 - ratio);
        Self { deviation: 1.0 / alpha, update, sigma_up }
    }
}

/// The timesteps of the config's spacing, and their noise levels.
fn spaced(
    config: &SchedulerConfig,
    training_sigmas: &[f32],
    steps: usize,
) -> Result<(Vec<f64>, Vec<f64>), SchedulerError> {
    let spacing = config.timestep_spacing.unwrap_or(Spacing::Linspace);
    let timesteps: Vec<f64> =
        // The dtype of diffusers' timesteps.
        timesteps(config, spacing, steps)?.into_iter().map(|t| f64::from(t as f32)).collect();
    let sigmas = timesteps.iter().map(|&t| interpolate(training_sigmas, t)).collect();
    Ok((timesteps, sigmas))
}

/// With `leading` the first timestep is not the noisiest: its sample has signal in it.
fn init_noise_sigma(config: &SchedulerConfig, sigmas: &[f64]) -> f64 {
    let max = sigmas.iter().copied().fold(0.0, f64::max);
    match config.timestep_spacing.unwrap_or(Spacing::Linspace) {
        Spacing::Leading => (max * max + 1.0).sqrt(),
        Spacing::Linspace | Spacing::Trailing => max,
    }
}

impl Scheduler for Euler {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn init_noise_sigma(&self) -> f64 {
        self.init_noise_sigma
    }

    fn add_noise(&self, sample: Tensor<4>, noise: Tensor<4>) -> Tensor<4> {
        self.start.apply(sample, noise)
    }

    fn sample_scale(&self, step: usize) -> f64 {
        self.steps[step].deviation
    }

    fn step(
        &mut self,
        model_output: Tensor<4>,
        step: usize,
        sample: Tensor<4>,
        noise: &mut dyn FnMut() -> Tensor<4>,
    ) -> Tensor<4> {
        let Step { update, sigma_up, .. } = self.steps[step];
        let sample = update.apply(sample, model_output);
        match sigma_up {
            // Drawn in the last step too, where sigma_up is 0, as diffusers does.
            Some(sigma_up) => sample + noise().mul_scalar(sigma_up),
            None => sample,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINSPACE: f64 = 14.614_646_911_621_094;
    const LEADING: f64 = 13.158_469_200_134_277;

    // EulerDiscreteScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012,
    //     timestep_spacing=..., steps_offset=1).set_timesteps(50).init_noise_sigma
    #[test]
    fn init_noise_sigma_equals_diffusers() {
        for (spacing, expected) in [("linspace", LINSPACE), ("leading", LEADING), ("trailing", LINSPACE)] {
            let json = format!(
                r#"{{"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
                     "timestep_spacing": "{spacing}", "steps_offset": 1}}"#
            );
            let config = SchedulerConfig::from_json(&json).expect("a valid config");
            for kind in [SchedulerKind::Euler, SchedulerKind::EulerAncestral] {
                let sigma = config.build(kind, 50).expect("50 steps").init_noise_sigma();
                assert!((sigma - expected).abs() < 1e-6 * expected, "{sigma} and {expected}");
            }
        }
    }
}
