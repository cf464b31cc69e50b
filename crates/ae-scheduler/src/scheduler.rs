//! The interface of a sampler.

use std::fmt::Debug;

use burn::tensor::Tensor;

/// A sampler over a fixed number of denoising steps.
///
/// One denoising loop calls, for each index of [`timesteps`](Self::timesteps) *in order*,
/// [`scale_model_input`](Self::scale_model_input), the model, and [`step`](Self::step) once.
/// A new loop starts at index 0, which forgets what a multistep sampler remembers of the last one.
///
/// Samples are latents `[batch, channels, height, width]`. The arithmetic runs in their dtype:
/// keep them in f32 for parity with diffusers.
pub trait Scheduler: Debug + Send {
    /// The model's timestep at every denoising step, from noise to image.
    ///
    /// Timesteps count from 0 to `num_train_timesteps - 1`. Usually there is one for each inference
    /// step, but PNDM repeats its second one: 51 for 50 steps.
    fn timesteps(&self) -> &[f64];

    /// The standard deviation of the initial noise: multiply unit Gaussian noise by it.
    ///
    /// One, unless the sampler counts in noise levels.
    fn init_noise_sigma(&self) -> f64 {
        1.0
    }

    /// A clean sample with unit Gaussian `noise` added to it, as noisy as the first timestep expects; both and
    /// the result have the same shape. What image-to-image starts from.
    fn add_noise(&self, sample: Tensor<4>, noise: Tensor<4>) -> Tensor<4>;

    /// How many times larger the sample is than what the model sees at denoising step `step`.
    ///
    /// One, unless the sampler counts in noise levels: then `sqrt(sigma^2 + 1)`.
    ///
    /// # Panics
    ///
    /// It may, if `step` is not an index of [`timesteps`](Self::timesteps).
    fn sample_scale(&self, step: usize) -> f64 {
        let _ = step;
        1.0
    }

    /// The model's input at denoising step `step`: the sample at unit variance, same shape.
    ///
    /// # Panics
    ///
    /// As [`sample_scale`](Self::sample_scale).
    fn scale_model_input(&self, sample: Tensor<4>, step: usize) -> Tensor<4> {
        match self.sample_scale(step) {
            1.0 => sample,
            scale => sample.div_scalar(scale),
        }
    }

    /// The sample of a model's input at denoising step `step`, same shape: the inverse of
    /// [`scale_model_input`](Self::scale_model_input). It carries back what was done to the input, as guidance does.
    ///
    /// # Panics
    ///
    /// As [`sample_scale`](Self::sample_scale).
    fn unscale_model_input(&self, input: Tensor<4>, step: usize) -> Tensor<4> {
        match self.sample_scale(step) {
            1.0 => input,
            scale => input.mul_scalar(scale),
        }
    }

    /// The sample one denoising step further.
    ///
    /// `model_output` is the model's prediction for `sample` at `timesteps()[step]`; both and the
    /// result have the same shape and dtype. `noise` yields unit Gaussian noise of that shape: the
    /// ancestral sampler calls it once per step, the others never.
    ///
    /// # Panics
    ///
    /// If `step` is not an index of [`timesteps`](Self::timesteps), or if steps are left out.
    fn step(
        &mut self,
        model_output: Tensor<4>,
        step: usize,
        sample: Tensor<4>,
        noise: &mut dyn FnMut() -> Tensor<4>,
    ) -> Tensor<4>;
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::{SchedulerConfig, SchedulerKind};

    const STEPS: usize = 50;

    /// Every sampler, and with Karras' noise levels those that have them.
    fn samplers() -> Vec<(SchedulerKind, SchedulerConfig)> {
        let json = r#"{"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
                       "timestep_spacing": "leading", "steps_offset": 1, "clip_sample": false,
                       "skip_prk_steps": true}"#;
        let config = SchedulerConfig::from_json(json).expect("a valid config");
        let configs = [config.clone(), config.with_sigmas(ae_settings::SigmaSpacing::Karras)];
        let all = SchedulerKind::ALL.iter().flat_map(|kind| configs.clone().map(|config| (kind, config)));
        all.map(|(kind, config)| (*kind, config)).filter(|(kind, config)| config.build(*kind, STEPS).is_ok()).collect()
    }

    fn values(tensor: &Tensor<4>) -> Vec<f32> {
        tensor.to_data().try_into_vec_as().expect("floats")
    }

    fn tensor(values: [f32; 4]) -> Tensor<4> {
        Tensor::from_data([[[values]]], &Device::flex())
    }

    /// The share of the clean sample in the model's input at step `first` of the whole schedule.
    fn alpha(kind: SchedulerKind, config: &SchedulerConfig, first: usize) -> f32 {
        let scheduler = config.build_from(kind, STEPS, first).expect("a sampler");
        let noisy = scheduler.add_noise(tensor([1.0; 4]), tensor([0.0; 4]));
        values(&scheduler.scale_model_input(noisy, 0))[0]
    }

    /// What guidance does to the model's input must mean the same under every sampler, also after the step. Under DDIM, whose next
    /// input is `alpha' * clean + sigma' * noise` with `clean = (input - sigma * noise) / alpha`, it is scaled by `alpha' / alpha`.
    ///
    /// The step is the first of a run, at several noise levels: later ones of a multistep sampler also extrapolate the shift.
    #[test]
    fn a_shift_of_the_models_input_survives_the_step_as_under_ddim() {
        let (input, shift) = (tensor([0.3, -1.2, 0.8, 2.0]), tensor([0.05, 0.2, -0.1, 0.4]));
        let (output, noise) = (tensor([-0.4, 0.7, 1.1, -0.9]), tensor([1.5, -0.2, 0.3, -0.8]));
        let samplers = samplers();
        assert!(SchedulerKind::ALL.iter().all(|kind| samplers.iter().any(|(sampler, _)| sampler == kind)));
        for (kind, config) in samplers {
            // Those after 0 are what image-to-image begins with.
            for first in [0, 2, 10, 24] {
                let mut scheduler = config.build_from(kind, STEPS, first).expect("a sampler");
                let mut next = |input| {
                    let sample = scheduler.unscale_model_input(input, 0);
                    let sample = scheduler.step(output.clone(), 0, sample, &mut || noise.clone());
                    scheduler.scale_model_input(sample, 1)
                };
                let survived = next(input.clone() + shift.clone()) - next(input.clone());
                let ratio = alpha(kind, &config, first + 1) / alpha(kind, &config, first);
                for (survived, shift) in values(&survived).iter().zip(values(&shift)) {
                    let (expected, name) = (shift * ratio, format!("{kind} from step {first} of {config:?}"));
                    assert!((survived - expected).abs() < 1e-4 * shift.abs().max(0.1), "{name}: {survived} {expected}");
                }
            }
        }
    }
}
