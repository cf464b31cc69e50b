//! Latent consistency models (Luo et al. 2023): diffusers' `scheduling_lcm.py`.

use crate::one_step::{OneStep, Step};
use crate::prediction::{Mix, ReadPrediction};
use crate::schedule::rescaled_alphas_cumprod;
use crate::timesteps::{distilled_timesteps, index};
use crate::{SchedulerConfig, SchedulerError, SchedulerKind};

/// The standard deviation of the data, of which the boundary condition is made.
const SIGMA_DATA: f64 = 0.5;

/// Walks to the clean sample in every step, and back to the next noise level with fresh noise.
pub(crate) fn lcm(config: &SchedulerConfig, steps: usize, first: usize) -> Result<OneStep, SchedulerError> {
    let timesteps = distilled_timesteps(config, SchedulerKind::Lcm, steps)?;
    let alphas_cumprod = rescaled_alphas_cumprod(config);
    OneStep::new(SchedulerKind::Lcm, config, &alphas_cumprod, &timesteps, first, |step| {
        let product = f64::from(alphas_cumprod[index(timesteps[step])]);
        let scaled = timesteps[step] * config.timestep_scaling;
        let norm = scaled * scaled + SIGMA_DATA * SIGMA_DATA;
        let (skip, out) = (SIGMA_DATA * SIGMA_DATA / norm, scaled / norm.sqrt());
        let (alpha, noise) = match timesteps.get(step + 1) {
            Some(next) => {
                let product = f64::from(alphas_cumprod[index(*next)]);
                (product.sqrt(), Some((1.0 - product).sqrt()))
            }
            None => (1.0, None),
        };
        Step {
            clean: config.prediction_type.clean_sample(product.sqrt(), (1.0 - product).sqrt()),
            weight: alpha * out,
            rest: Mix { sample: alpha * skip, output: 0.0 },
            noise,
        }
    })
}
