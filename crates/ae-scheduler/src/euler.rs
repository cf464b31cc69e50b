//! Euler's method on the probability flow ODE of Karras et al. (2022), plain and ancestral:
//! diffusers' `scheduling_euler_discrete.py` and `scheduling_euler_ancestral_discrete.py`.

use burn::tensor::Tensor;

use crate::noise_levels::{NoiseLevels, derivative, of_noise_levels, walk};
use crate::prediction::Mix;
use crate::sigmas::ancestral;
use crate::{Scheduler, SchedulerConfig, SchedulerError, SchedulerKind};

/// Both samplers: they differ in the noise level that a step walks to, and in the noise that the
/// ancestral one adds after it.
#[derive(Debug)]
pub(crate) struct Euler {
    levels: NoiseLevels,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    update: Mix,
    /// Standard deviation of the added noise. The plain sampler adds none.
    sigma_up: Option<f64>,
}

impl Euler {
    pub(crate) fn new(
        config: &SchedulerConfig,
        kind: SchedulerKind,
        steps: usize,
        first: usize,
    ) -> Result<Self, SchedulerError> {
        let levels = NoiseLevels::new(config, steps, first)?;
        let step = |pair: &[f64]| {
            let (sigma, next) = (pair[0], pair[1]);
            let (down, up) = match kind {
                SchedulerKind::EulerAncestral => ancestral(sigma, next),
                _ => (next, None),
            };
            Step { update: walk(derivative(config.prediction_type, sigma), down - sigma), sigma_up: up }
        };
        let steps: Vec<Step> = levels.sigmas.windows(2).map(step).collect();
        let finite = |step: &Step| step.update.is_finite() && step.sigma_up.is_none_or(f64::is_finite);
        match steps.iter().position(|step| !finite(step)) {
            Some(step) => Err(SchedulerError::Degenerate { kind, step, steps: steps.len() }),
            None => Ok(Self { levels, steps }),
        }
    }
}

impl Scheduler for Euler {
    of_noise_levels!();

    fn step(
        &mut self,
        model_output: Tensor<4>,
        step: usize,
        sample: Tensor<4>,
        noise: &mut dyn FnMut() -> Tensor<4>,
    ) -> Tensor<4> {
        let Step { update, sigma_up } = self.steps[step];
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
