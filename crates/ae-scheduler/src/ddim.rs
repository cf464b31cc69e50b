//! DDIM (Song et al. 2021): diffusers' `scheduling_ddim.py`.

use crate::one_step::{OneStep, Step};
use crate::prediction::ReadPrediction;
use crate::schedule::rescaled_alphas_cumprod;
use crate::timesteps::{index, timesteps};
use crate::{SchedulerConfig, SchedulerError, SchedulerKind};
use ae_settings::TimestepSpacing as Spacing;

/// The model output is split into clean sample and noise, which are mixed anew at the next noise level. With `eta` above 0 that
/// share of the noise is drawn afresh (formula 16 of the paper); at 1 this is DDPM.
pub(crate) fn ddim(config: &SchedulerConfig, steps: usize, first: usize) -> Result<OneStep, SchedulerError> {
    let spacing = config.timestep_spacing.unwrap_or(Spacing::Leading);
    let timesteps: Vec<f64> = timesteps(config, spacing, steps)?.into_iter().map(f64::round_ties_even).collect();
    let alphas_cumprod = rescaled_alphas_cumprod(config);
    let final_alpha_cumprod = if config.set_alpha_to_one.unwrap_or(true) { 1.0 } else { alphas_cumprod[0] };
    let stride = config.num_train_timesteps / steps;
    OneStep::new(SchedulerKind::Ddim, config, &alphas_cumprod, &timesteps, first, |step| {
        let timestep = index(timesteps[step]);
        let product = f64::from(alphas_cumprod[timestep]);
        // diffusers takes `timestep - stride` whatever the spacing.
        let product_prev = f64::from(timestep.checked_sub(stride).map_or(final_alpha_cumprod, |t| alphas_cumprod[t]));
        let (alpha, sigma) = (product.sqrt(), (1.0 - product).sqrt());
        let variance = (1.0 - product_prev) / (1.0 - product) * (1.0 - product / product_prev);
        let fresh = config.eta * variance.sqrt();
        let kept = (1.0 - product_prev - fresh * fresh).sqrt();
        Step {
            clean: config.prediction_type.clean_sample(alpha, sigma),
            weight: product_prev.sqrt(),
            rest: config.prediction_type.noise(alpha, sigma).scaled(kept),
            noise: (config.eta > 0.0).then_some(fresh),
        }
    })
}
