//! DDPM (Ho et al. 2020): diffusers' `scheduling_ddpm.py`.

use crate::one_step::{OneStep, Step};
use crate::prediction::{Mix, ReadPrediction};
use crate::schedule::rescaled_alphas_cumprod;
use crate::timesteps::{index, timesteps};
use crate::{SchedulerConfig, SchedulerError, SchedulerKind};
use ae_settings::TimestepSpacing as Spacing;

/// diffusers' least variance.
const LEAST_VARIANCE: f64 = 1e-20;

/// Draws from the posterior of the next sample (formula 7 of the paper), with the variance that `variance_type` says.
pub(crate) fn ddpm(config: &SchedulerConfig, steps: usize, first: usize) -> Result<OneStep, SchedulerError> {
    let spacing = config.timestep_spacing.unwrap_or(Spacing::Leading);
    let timesteps: Vec<f64> = timesteps(config, spacing, steps)?.into_iter().map(f64::round_ties_even).collect();
    let alphas_cumprod = rescaled_alphas_cumprod(config);
    OneStep::new(SchedulerKind::Ddpm, config, &alphas_cumprod, &timesteps, first, |step| {
        let product = f64::from(alphas_cumprod[index(timesteps[step])]);
        let product_prev = timesteps.get(step + 1).map_or(1.0, |t| f64::from(alphas_cumprod[index(*t)]));
        // Of this step alone, over however many timesteps.
        let step_alpha = product / product_prev;
        let step_beta = 1.0 - step_alpha;
        let posterior = (1.0 - product_prev) / (1.0 - product) * step_beta;
        let variance = if config.fixed_large { step_beta } else { posterior.max(LEAST_VARIANCE) };
        Step {
            clean: config.prediction_type.clean_sample(product.sqrt(), (1.0 - product).sqrt()),
            weight: product_prev.sqrt() * step_beta / (1.0 - product),
            rest: Mix { sample: step_alpha.sqrt() * (1.0 - product_prev) / (1.0 - product), output: 0.0 },
            noise: (timesteps[step] > 0.0).then(|| variance.sqrt()),
        }
    })
}
