//! Trajectory consistency distillation (Zheng et al. 2024): diffusers' `scheduling_tcd.py`.

use crate::one_step::{OneStep, Step};
use crate::prediction::ReadPrediction;
use crate::schedule::rescaled_alphas_cumprod;
use crate::timesteps::{distilled_timesteps, index};
use crate::{SchedulerConfig, SchedulerError, SchedulerKind};

/// Walks along the trajectory to timestep `s = (1 - eta) * next`, and from there to the next one with fresh noise: with `eta` 0
/// there is none, with 1 it is as much as LCM's. The paper calls it gamma.
pub(crate) fn tcd(config: &SchedulerConfig, steps: usize, first: usize) -> Result<OneStep, SchedulerError> {
    let timesteps = distilled_timesteps(config, SchedulerKind::Tcd, steps)?;
    let alphas_cumprod = rescaled_alphas_cumprod(config);
    let product = |timestep: f64| f64::from(alphas_cumprod[index(timestep)]);
    OneStep::new(SchedulerKind::Tcd, config, &alphas_cumprod, &timesteps, first, |step| {
        let now = product(timesteps[step]);
        let next = timesteps.get(step + 1).copied();
        // In single precision, as torch multiplies.
        let between = product(f64::from(((1.0 - config.eta) as f32 * next.unwrap_or_default() as f32).floor()));
        let (alpha, sigma) = (now.sqrt(), (1.0 - now).sqrt());
        // The walk back scales what it finds; without noise there is none, and `between` is the next timestep.
        let back = next.filter(|_| config.eta > 0.0).map(|next| product(next) / between);
        let scale = back.map_or(1.0, f64::sqrt);
        Step {
            clean: config.prediction_type.clean_sample(alpha, sigma),
            weight: scale * between.sqrt(),
            rest: config.prediction_type.noise(alpha, sigma).scaled(scale * (1.0 - between).sqrt()),
            noise: back.map(|back| (1.0 - back).sqrt()),
        }
    })
}
