//! DDIM (Song et al. 2021) without added noise: diffusers' `scheduling_ddim.py` with `eta = 0`.

use burn::tensor::Tensor;

use crate::prediction::{Mix, ReadPrediction};
use crate::schedule::rescaled_alphas_cumprod;
use crate::timesteps::{index, timesteps};
use crate::{Scheduler, SchedulerConfig, SchedulerError, SchedulerKind};
use ae_settings::TimestepSpacing as Spacing;

#[derive(Debug)]
pub(crate) struct Ddim {
    timesteps: Vec<f64>,
    /// Clean sample and noise at the first timestep.
    start: Mix,
    updates: Vec<Update>,
}

/// One step: the model output is split into clean sample and noise, which are mixed anew at the
/// next noise level.
#[derive(Debug)]
enum Update {
    /// Both halves folded into one.
    Folded(Mix),
    /// `alpha * clamp(clean) + noise`, with the clean sample clamped to `-limit..=limit` and the
    /// noise already scaled (`clip_sample`).
    Clipped { clean: Mix, limit: f64, alpha: f64, noise: Mix },
}

impl Ddim {
    pub(crate) fn new(config: &SchedulerConfig, steps: usize, first: usize) -> Result<Self, SchedulerError> {
        let spacing = config.timestep_spacing.unwrap_or(Spacing::Leading);
        let timesteps = timesteps(config, spacing, steps)?.into_iter().skip(first);
        let timesteps: Vec<f64> = timesteps.map(f64::round_ties_even).collect();
        let alphas_cumprod = rescaled_alphas_cumprod(config);
        let signal = f64::from(alphas_cumprod[index(timesteps[0])]);
        let start = Mix::noisy(signal.sqrt(), (1.0 - signal).sqrt());
        let final_alpha_cumprod = if config.set_alpha_to_one.unwrap_or(true) { 1.0 } else { alphas_cumprod[0] };
        let stride = config.num_train_timesteps / steps;

        let update = |timestep: usize| {
            let alpha_prod = f64::from(alphas_cumprod[timestep]);
            // diffusers takes `timestep - stride` whatever the spacing.
            let alpha_prod_prev =
                f64::from(timestep.checked_sub(stride).map_or(final_alpha_cumprod, |t| alphas_cumprod[t]));
            let (alpha, sigma) = (alpha_prod.sqrt(), (1.0 - alpha_prod).sqrt());
            let (alpha_prev, sigma_prev) = (alpha_prod_prev.sqrt(), (1.0 - alpha_prod_prev).sqrt());
            let clean = config.prediction_type.clean_sample(alpha, sigma);
            let noise = config.prediction_type.noise(alpha, sigma);
            if config.clip_sample {
                let limit = config.clip_sample_range;
                Update::Clipped { clean, limit, alpha: alpha_prev, noise: noise.scaled(sigma_prev) }
            } else {
                Update::Folded(clean.combine(alpha_prev, noise, sigma_prev))
            }
        };
        let updates: Vec<Update> = timesteps.iter().map(|&t| update(index(t))).collect();
        match updates.iter().position(|update| !update.is_finite()) {
            Some(step) => Err(SchedulerError::Degenerate { kind: SchedulerKind::Ddim, step, steps: timesteps.len() }),
            None => Ok(Self { timesteps, start, updates }),
        }
    }
}

impl Update {
    fn is_finite(&self) -> bool {
        match self {
            Self::Folded(mix) => mix.is_finite(),
            Self::Clipped { clean, noise, .. } => clean.is_finite() && noise.is_finite(),
        }
    }
}

impl Scheduler for Ddim {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn add_noise(&self, sample: Tensor<4>, noise: Tensor<4>) -> Tensor<4> {
        self.start.apply(sample, noise)
    }

    fn step(
        &mut self,
        model_output: Tensor<4>,
        step: usize,
        sample: Tensor<4>,
        _noise: &mut dyn FnMut() -> Tensor<4>,
    ) -> Tensor<4> {
        match self.updates[step] {
            Update::Folded(mix) => mix.apply(sample, model_output),
            Update::Clipped { clean, limit, alpha, noise } => {
                let clean = clean.apply(sample.clone(), model_output.clone()).clamp(-limit, limit);
                clean.mul_scalar(alpha) + noise.apply(sample, model_output)
            }
        }
    }
}
