//! Samplers that evaluate the model twice in a step: Heun's method (Karras et al. 2022, algorithm 1), and DPM-Solver-2 as
//! k-diffusion has it, plain and ancestral. diffusers' `scheduling_heun_discrete.py`, `scheduling_k_dpm_2_discrete.py` and
//! `scheduling_k_dpm_2_ancestral_discrete.py`.
//!
//! diffusers counts each evaluation as a step; here a step has both, so that guidance and image-to-image count as everywhere.

use burn::tensor::Tensor;

use crate::noise_levels::{NoiseLevels, derivative, deviation, of_noise_levels, walk};
use crate::prediction::Mix;
use crate::schedule::training_sigmas;
use crate::sigmas::{ancestral, timestep_of};
use crate::{Scheduler, SchedulerConfig, SchedulerError, SchedulerKind, SecondEvaluation};
use ae_settings::SigmaSpacing;

#[derive(Debug)]
pub(crate) struct SecondOrder {
    levels: NoiseLevels,
    steps: Vec<Step>,
    /// Where the model was evaluated a second time, until the step is done.
    point: Option<Tensor<4>>,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    /// From the sample and the model output: where the second evaluation is. Without one it is the next sample.
    first: Mix,
    second: Option<Second>,
}

/// `sample * x + update + noise`.
#[derive(Debug, Clone, Copy)]
struct Second {
    timestep: f64,
    /// By which the point is divided for the model.
    deviation: f64,
    /// The share of the step's sample.
    sample: f64,
    /// Those of the point and of the second model output.
    update: Mix,
    /// Standard deviation of the added noise.
    sigma_up: Option<f64>,
}

impl SecondOrder {
    pub(crate) fn new(
        config: &SchedulerConfig,
        kind: SchedulerKind,
        steps: usize,
        first: usize,
    ) -> Result<Self, SchedulerError> {
        let mut levels = NoiseLevels::new(config, steps, first)?;
        if kind != SchedulerKind::Heun && config.sigmas == SigmaSpacing::Karras {
            levels.timesteps.iter_mut().for_each(|timestep| *timestep = timestep.round_ties_even());
        }
        let log_sigmas: Vec<f32> = training_sigmas(config).iter().map(|sigma| sigma.ln()).collect();
        let slope = |sigma| derivative(config.prediction_type, sigma);
        let step = |(index, pair): (usize, &[f64])| {
            let (sigma, next) = (pair[0], pair[1]);
            if next == 0.0 {
                return Step { first: walk(slope(sigma), -sigma), second: None };
            }
            if kind == SchedulerKind::Heun {
                // The mean of both slopes: half of the way is walked in the first part, `(x + point) / 2`.
                let half = walk(slope(next), next - sigma).scaled(0.5);
                let timestep = levels.timesteps[index + 1];
                let second = Second { timestep, deviation: deviation(next), sample: 0.5, update: half, sigma_up: None };
                return Step { first: walk(slope(sigma), next - sigma), second: Some(second) };
            }
            let (down, sigma_up) = match kind {
                SchedulerKind::Kdpm2Ancestral => ancestral(sigma, next),
                _ => (next, None),
            };
            // The geometric mean, in whose slope the whole step is walked.
            let middle = f64::from((sigma * down).sqrt() as f32);
            let second = Second {
                timestep: f64::from(timestep_of(middle, &log_sigmas) as f32),
                deviation: deviation(middle),
                sample: 1.0,
                update: slope(middle).scaled(down - sigma),
                sigma_up,
            };
            Step { first: walk(slope(sigma), middle - sigma), second: Some(second) }
        };
        let steps: Vec<Step> = levels.sigmas.windows(2).enumerate().map(step).collect();
        match steps.iter().position(|step| !step.is_finite()) {
            Some(step) => Err(SchedulerError::Degenerate { kind, step, steps: steps.len() }),
            None => Ok(Self { levels, steps, point: None }),
        }
    }
}

impl Step {
    fn is_finite(&self) -> bool {
        let second = |second: Second| second.update.is_finite() && second.sigma_up.is_none_or(f64::is_finite);
        self.first.is_finite() && self.second.is_none_or(second)
    }
}

impl Scheduler for SecondOrder {
    of_noise_levels!();

    fn second_evaluation(
        &mut self,
        model_output: &Tensor<4>,
        step: usize,
        sample: &Tensor<4>,
    ) -> Option<SecondEvaluation> {
        let Step { first, second } = self.steps[step];
        let Second { timestep, deviation, .. } = second?;
        let point = first.apply(sample.clone(), model_output.clone());
        self.point = Some(point.clone());
        Some(SecondEvaluation { input: point.div_scalar(deviation), timestep })
    }

    fn step(
        &mut self,
        model_output: Tensor<4>,
        step: usize,
        sample: Tensor<4>,
        noise: &mut dyn FnMut() -> Tensor<4>,
    ) -> Tensor<4> {
        let Step { first, second } = self.steps[step];
        let Some(Second { sample: share, update, sigma_up, .. }) = second else {
            return first.apply(sample, model_output);
        };
        let point = self.point.take().expect("the second evaluation comes before the step");
        let next = sample.mul_scalar(share) + update.apply(point, model_output);
        match sigma_up {
            Some(sigma_up) => next + noise().mul_scalar(sigma_up),
            None => next,
        }
    }
}
