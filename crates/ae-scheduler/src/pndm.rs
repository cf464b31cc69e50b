//! PNDM (Liu et al. 2022) without Runge-Kutta steps, known as PLMS: `step_plms` of diffusers'
//! `scheduling_pndm.py`.

use std::collections::VecDeque;

use burn::tensor::Tensor;

use crate::prediction::{Mix, ReadPrediction};
use crate::schedule::{alphas_cumprod, noisy_at};
use crate::timesteps::{index, timesteps};
use crate::{Scheduler, SchedulerConfig, SchedulerError, SchedulerKind};
use ae_settings::TimestepSpacing as Spacing;

/// Outputs of earlier steps that enter a step.
const HISTORY: usize = 3;

/// A linear multistep sampler over the model's last four outputs.
///
/// The first interval is walked twice: step 0 is an Euler step, and step 1 starts over *from the
/// sample of step 0* with the mean of both outputs. So the second timestep occurs twice, and what
/// the caller does to the sample before step 1 reaches the result through the model's output only.
#[derive(Debug)]
pub(crate) struct Pndm {
    timesteps: Vec<f64>,
    /// Clean sample and noise at every timestep.
    noisy: Vec<Mix>,
    /// One step's coefficients of the sample and of the averaged model output.
    updates: Vec<Mix>,
    /// Model outputs of earlier steps, the latest first. Step 1's is never kept.
    history: VecDeque<Tensor<4>>,
    /// The sample of step 0, until step 1.
    first_sample: Option<Tensor<4>>,
}

impl Pndm {
    pub(crate) fn new(config: &SchedulerConfig, steps: usize, first: usize) -> Result<Self, SchedulerError> {
        let spacing = config.timestep_spacing.unwrap_or(Spacing::Leading);
        let mut timesteps: Vec<f64> =
            timesteps(config, spacing, steps)?.into_iter().map(f64::round_ties_even).collect();
        if let Some(&second) = timesteps.get(1) {
            timesteps.insert(1, second);
        }
        timesteps.drain(..first);
        let alphas_cumprod = alphas_cumprod(config);
        let final_alpha_cumprod = if config.set_alpha_to_one.unwrap_or(false) { 1.0 } else { alphas_cumprod[0] };
        let stride = config.num_train_timesteps / steps;

        let update = |step: usize, timestep: f64| {
            let timestep = index(timestep);
            // diffusers walks one stride from the timestep, whatever the spacing; step 1 walks the
            // stride that ends there.
            let (from, to) = match step {
                1 => (timestep + stride, Some(timestep)),
                _ => (timestep, timestep.checked_sub(stride)),
            };
            let alpha_prod =
                alphas_cumprod.get(from).copied().map(f64::from).ok_or(SchedulerError::TimestepOutOfRange {
                    steps,
                    timestep: from as f64,
                    last: alphas_cumprod.len() - 1,
                })?;
            let alpha_prod_prev = f64::from(to.map_or(final_alpha_cumprod, |t| alphas_cumprod[t]));
            let noise = config.prediction_type.noise(alpha_prod.sqrt(), (1.0 - alpha_prod).sqrt());
            // Formula (9) of the paper.
            let sample_coefficient = (alpha_prod_prev / alpha_prod).sqrt();
            let denominator = alpha_prod * (1.0 - alpha_prod_prev).sqrt()
                + (alpha_prod * (1.0 - alpha_prod) * alpha_prod_prev).sqrt();
            let noise_coefficient = -(alpha_prod_prev - alpha_prod) / denominator;
            let mix = Mix {
                sample: sample_coefficient + noise_coefficient * noise.sample,
                output: noise_coefficient * noise.output,
            };
            if mix.is_finite() {
                Ok(mix)
            } else {
                Err(SchedulerError::Degenerate { kind: SchedulerKind::Pndm, step, steps })
            }
        };
        let updates =
            timesteps.iter().enumerate().map(|(step, &timestep)| update(step, timestep)).collect::<Result<_, _>>()?;
        Ok(Self {
            noisy: noisy_at(&alphas_cumprod, &timesteps),
            timesteps,
            updates,
            history: VecDeque::new(),
            first_sample: None,
        })
    }
}

/// Weights of the model outputs at a step, the latest first: formulas (12) and (13) of the paper,
/// of the order that the number of earlier outputs allows.
fn weights(step: usize) -> &'static [f64] {
    match step {
        0 => &[1.0],
        1 => &[1.0 / 2.0, 1.0 / 2.0],
        2 => &[3.0 / 2.0, -1.0 / 2.0],
        3 => &[23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0],
        _ => &[55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
    }
}

impl Scheduler for Pndm {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn add_noise(&self, sample: Tensor<4>, noise: Tensor<4>, step: usize) -> Tensor<4> {
        self.noisy[step].apply(sample, noise)
    }

    fn step(
        &mut self,
        model_output: Tensor<4>,
        step: usize,
        sample: Tensor<4>,
        _noise: &mut dyn FnMut() -> Tensor<4>,
    ) -> Tensor<4> {
        let Mix { sample: scale, output } = self.updates[step];
        let sample = match step {
            0 => {
                self.history.clear();
                self.first_sample = Some(sample.clone());
                sample
            }
            1 => self.first_sample.take().expect("step 1 follows step 0"),
            _ => sample,
        };
        let (weight, earlier_weights) = weights(step).split_first().expect("one weight or more");
        assert!(self.history.len() >= earlier_weights.len(), "PNDM steps must be taken in order");
        let mut previous = sample.mul_scalar(scale) + model_output.clone().mul_scalar(output * weight);
        for (earlier, weight) in self.history.iter().zip(earlier_weights) {
            previous = previous + earlier.clone().mul_scalar(output * weight);
        }
        if step != 1 {
            self.history.truncate(HISTORY - 1);
            self.history.push_front(model_output);
        }
        previous
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STABLE_DIFFUSION: &str = r#"{
        "_class_name": "PNDMScheduler", "beta_schedule": "scaled_linear", "beta_start": 0.00085,
        "beta_end": 0.012, "skip_prk_steps": true, "set_alpha_to_one": false, "steps_offset": 1
    }"#;

    fn timesteps(steps: usize) -> Vec<f64> {
        let config = SchedulerConfig::from_json(STABLE_DIFFUSION).expect("a valid config");
        let pndm = config.build(SchedulerKind::Pndm, steps).expect("a valid number of steps");
        assert_eq!(pndm.init_noise_sigma(), 1.0);
        pndm.timesteps().to_vec()
    }

    #[test]
    fn the_second_timestep_occurs_twice() {
        let fifty = timesteps(50);
        assert_eq!(fifty.len(), 51);
        assert_eq!(fifty[..5], [981.0, 961.0, 961.0, 941.0, 921.0]);
        assert_eq!(fifty[49..], [21.0, 1.0]);
        assert_eq!(timesteps(2), [501.0, 1.0, 1.0]);
        assert_eq!(timesteps(1), [1.0]);
    }

    #[test]
    fn weights_sum_to_one() {
        for step in 0..6 {
            assert!((weights(step).iter().sum::<f64>() - 1.0).abs() < 1e-15);
        }
    }
}
