//! The interface of a sampler.

use std::fmt::Debug;

use burn::tensor::Tensor;

/// A sampler over a fixed number of denoising steps.
///
/// One denoising loop calls, for each index of [`timesteps`](Self::timesteps) *in order*,
/// [`scale_model_input`](Self::scale_model_input), the model, [`second_evaluation`](Self::second_evaluation) with the model once
/// more if there is one, and [`step`](Self::step); [`advance`](Self::advance) does all of it.
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

    /// A clean sample with unit Gaussian `noise` added to it, as noisy as the sample of denoising step `step`; both and the result
    /// have the same shape. What image-to-image starts from at step 0, and what inpainting keeps at every step.
    ///
    /// # Panics
    ///
    /// If `step` is not an index of [`timesteps`](Self::timesteps).
    fn add_noise(&self, sample: Tensor<4>, noise: Tensor<4>, step: usize) -> Tensor<4>;

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

    /// Where the model is to be evaluated once more before denoising step `step`, from its output at the step's `sample`; none
    /// under most samplers. Guidance acts before the first evaluation alone.
    ///
    /// # Panics
    ///
    /// It may, if `step` is not an index of [`timesteps`](Self::timesteps).
    fn second_evaluation(
        &mut self,
        model_output: &Tensor<4>,
        step: usize,
        sample: &Tensor<4>,
    ) -> Option<SecondEvaluation> {
        let _ = (model_output, step, sample);
        None
    }

    /// Says, before a step, that its sample is not the one that the last step gave: guidance has shifted it. UniPC then leaves
    /// out the correction that would undo the shift; for the others it makes no difference.
    fn sample_was_shifted(&mut self) {}

    /// The sample one denoising step further.
    ///
    /// `model_output` is the model's prediction for `sample` at `timesteps()[step]`, or, if there was one, that of the
    /// [second evaluation](Self::second_evaluation); `sample` and the result have its shape and dtype. `noise` yields unit
    /// Gaussian noise of that shape: a stochastic sampler calls it once per step, with exceptions in the last, the others never.
    ///
    /// # Panics
    ///
    /// If `step` is not an index of [`timesteps`](Self::timesteps), if steps are left out, or if the second evaluation is.
    fn step(
        &mut self,
        model_output: Tensor<4>,
        step: usize,
        sample: Tensor<4>,
        noise: &mut dyn FnMut() -> Tensor<4>,
    ) -> Tensor<4>;

    /// A whole denoising step from `sample`: `model` gives its output for an input and a timestep, and is called once or twice.
    ///
    /// # Panics
    ///
    /// As [`step`](Self::step).
    fn advance(
        &mut self,
        step: usize,
        sample: Tensor<4>,
        model: &mut dyn FnMut(Tensor<4>, f64) -> Tensor<4>,
        noise: &mut dyn FnMut() -> Tensor<4>,
    ) -> Tensor<4> {
        let output = model(self.scale_model_input(sample.clone(), step), self.timesteps()[step]);
        let output = match self.second_evaluation(&output, step, &sample) {
            Some(SecondEvaluation { input, timestep }) => model(input, timestep),
            None => output,
        };
        self.step(output, step, sample, noise)
    }
}

/// What the model is given at the second evaluation of a denoising step.
#[derive(Debug)]
pub struct SecondEvaluation {
    /// The model's input, at unit variance.
    pub input: Tensor<4>,
    /// Its timestep, in general a fraction.
    pub timestep: f64,
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
        let noisy = scheduler.add_noise(tensor([1.0; 4]), tensor([0.0; 4]), 0);
        values(&scheduler.scale_model_input(noisy, 0))[0]
    }

    #[test]
    fn the_noise_of_a_step_is_that_of_a_run_from_there() {
        let (clean, noise) = (tensor([0.3, -1.2, 0.8, 2.0]), tensor([1.5, -0.2, 0.3, -0.8]));
        for (kind, config) in samplers() {
            let whole = config.build(kind, STEPS).expect("a sampler");
            for first in [0, 1, 2, 10, 49] {
                let rest = config.build_from(kind, STEPS, first).expect("a sampler");
                let at = whole.add_noise(clean.clone(), noise.clone(), first);
                let from = rest.add_noise(clean.clone(), noise.clone(), 0);
                assert_eq!(values(&at), values(&from), "{kind} at {first}");
            }
            assert!(values(&whole.add_noise(clean.clone(), noise.clone(), 0)) != values(&clean), "{kind}");
        }
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
                    let sample = scheduler.advance(0, sample, &mut |_, _| output.clone(), &mut || noise.clone());
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

    /// Sampler, eta, steps left out, how often noise is drawn, and the last sample: `make_samplers_fixtures.py --quote`, of 10
    /// steps with a stand-in for a model.
    const QUOTED: &[(&str, f64, usize, usize, [f64; 4])] = &[
        ("ddim", 0.0, 0, 0, [5.559_876, -14.742_968, -3.220_875, 22.350_418]),
        ("ddim", 0.0, 3, 0, [2.584_581, -3.840_988, -1.304_387, 6.677_678]),
        ("ddim", 0.3, 0, 10, [6.891_657, -14.057_384, -4.482_969, 22.672_846]),
        ("ddim", 0.3, 3, 7, [2.893_584, -3.581_644, -1.673, 6.777_703]),
        ("ddpm", 0.0, 0, 10, [11.510_05, -14.484_277, -12.026_488, 25.963_154]),
        ("ddpm", 0.0, 3, 7, [4.112_619, -3.708_942, -3.900_082, 8.042_651]),
        ("euler", 0.0, 0, 0, [5.618_03, -14.886_689, -3.279_806, 22.563_616]),
        ("euler", 0.0, 3, 0, [2.575_607, -3.830_74, -1.326_146, 6.650_585]),
        ("heun", 0.0, 0, 0, [6.066_09, -16.325_264, -2.936_39, 24.856_462]),
        ("heun", 0.0, 3, 0, [2.639_619, -3.914_544, -1.262_079, 6.830_293]),
        ("euler-a", 0.0, 0, 10, [11.510_046, -14.484_277, -12.026_488, 25.963_156]),
        ("euler-a", 0.0, 3, 7, [4.112_62, -3.708_942, -3.900_08, 8.042_652]),
        ("lms", 0.0, 0, 0, [6.193_464, -16.490_08, -3.426_508, 25.029_016]),
        ("dpm2", 0.0, 0, 0, [6.056_897, -16.405_558, -2.679_078, 25.024_961]),
        ("dpm2", 0.0, 3, 0, [2.623_155, -3.885_129, -1.211_678, 6.794_012]),
        ("dpm2-a", 0.0, 0, 9, [12.549_652, -17.490_734, -12.569_202, 29.899_94]),
        ("dpm2-a", 0.0, 3, 6, [4.039_241, -3.910_042, -3.735_551, 8.127_635]),
        ("dpmpp-2m", 0.0, 0, 0, [6.183_375, -16.553_091, -3.204_572, 25.164_669]),
        ("dpmpp-2m", 0.0, 3, 0, [2.605_982, -4.080_073, -1.288_591, 7.000_188]),
        ("dpmpp-2m-sde", 0.0, 0, 10, [14.856_819, -15.883_287, -15.307_812, 30.000_879]),
        ("dpmpp-2m-sde", 0.0, 3, 7, [4.675_289, -4.246_808, -4.666_389, 9.264_231]),
        ("unipc", 0.0, 0, 0, [6.308_856, -16.933_388, -3.162_764, 25.762_442]),
        ("unipc", 0.0, 3, 0, [2.587_343, -4.050_636, -1.276_237, 6.950_727]),
        ("lcm", 0.0, 0, 9, [27.012_77, -31.326_132, -38.323_376, 54.525_249]),
        ("lcm", 0.0, 3, 6, [8.272_085, -8.281_356, -12.029_255, 15.868_454]),
        ("tcd", 0.0, 0, 0, [10.372_185, -27.374_325, -6.319_991, 41.441_818]),
        ("tcd", 0.0, 3, 0, [3.065_377, -5.357_045, -1.615_93, 8.902_414]),
        ("tcd", 0.3, 0, 9, [24.512_695, -28.696_468, -29.137_724, 51.417_412]),
        ("tcd", 0.3, 3, 6, [5.651_9, -5.378_43, -5.785_179, 11.061_677]),
    ];

    #[test]
    fn whole_runs_equal_diffusers() {
        let json = r#"{"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "set_alpha_to_one": false,
                       "timestep_spacing": "leading", "steps_offset": 1, "clip_sample": false}"#;
        let config = SchedulerConfig::from_json(json).expect("a valid config");
        for (name, eta, first, expected_draws, expected) in QUOTED {
            let kind: SchedulerKind = name.parse().expect("a sampler");
            let config = config.clone().with_eta(*eta);
            let mut scheduler = config.build_from(kind, 10, *first).expect("a sampler");
            // The second run must not remember the first.
            for _ in 0..2 {
                let initial = tensor([0.3, -1.2, 0.8, 2.0]);
                let mut sample = if *first > 0 {
                    scheduler.add_noise(tensor([1.0, 0.5, -0.5, 0.1]), initial, 0)
                } else {
                    initial * scheduler.init_noise_sigma()
                };
                let (mut evaluations, mut draws) = (0.0_f64, 0.0_f32);
                for step in 0..scheduler.timesteps().len() {
                    let mut model = |input: Tensor<4>, _| {
                        let output = input * (0.3 * evaluations.cos()) + tensor([-0.4, 0.7, 1.1, -0.9]);
                        evaluations += 1.0;
                        output
                    };
                    sample = scheduler.advance(step, sample, &mut model, &mut || {
                        let noise = [draws.cos(), draws.sin(), -(2.0 * draws).cos(), (3.0 * draws).sin()];
                        draws += 1.0;
                        tensor(noise)
                    });
                }
                assert_eq!(draws, *expected_draws as f32, "{name}, eta {eta}, from {first}");
                for (value, expected) in values(&sample).into_iter().map(f64::from).zip(expected) {
                    let tolerance = 2e-6 * expected.abs().max(1.0);
                    assert!(
                        (value - expected).abs() < tolerance,
                        "{name}, eta {eta}, from {first}: {value} {expected}"
                    );
                }
            }
        }
        assert!(SchedulerKind::ALL.iter().all(|kind| *kind == SchedulerKind::Pndm || quoted(*kind)));
    }

    fn quoted(kind: SchedulerKind) -> bool {
        QUOTED.iter().any(|(name, ..)| *name == kind.name())
    }

    /// What UniPC corrects begins at the sample of the step before, where the shift is not.
    #[test]
    fn unipc_keeps_a_shift_unless_it_corrects_the_step() {
        let config = samplers().swap_remove(0).1;
        let (output, shift) = (tensor([-0.4, 0.7, 1.1, -0.9]), tensor([0.05, 0.2, -0.1, 0.4]));
        let run = |kind, shifted: bool, says_so: bool| {
            let mut scheduler = config.build(kind, STEPS).expect("a sampler");
            let mut sample = tensor([0.3, -1.2, 0.8, 2.0]);
            for step in 0..6 {
                if step == 3 && shifted {
                    sample = sample + shift.clone();
                }
                if says_so && step > 0 {
                    scheduler.sample_was_shifted();
                }
                sample = scheduler.step(output.clone(), step, sample, &mut || unreachable!("it draws no noise"));
            }
            values(&sample)
        };
        let survived = |kind, says_so| -> Vec<f32> {
            let (with, without) = (run(kind, true, says_so), run(kind, false, says_so));
            with.iter().zip(without).map(|(with, without)| with - without).collect()
        };
        // Without its corrector it is DPM-Solver++.
        let solver = survived(SchedulerKind::DpmSolverMultistep, false);
        for (kept, expected) in survived(SchedulerKind::UniPc, true).iter().zip(&solver) {
            assert!((kept - expected).abs() < 1e-5, "{kept} {expected}");
        }
        for (kept, expected) in survived(SchedulerKind::UniPc, false).iter().zip(&solver) {
            assert!(kept.abs() < 0.7 * expected.abs(), "{kept} {expected}: diffusers' way loses it");
        }
    }

    #[test]
    fn a_second_evaluation_is_asked_for_in_all_steps_but_the_last() {
        for (kind, config) in samplers() {
            let mut scheduler = config.build(kind, STEPS).expect("a sampler");
            let twice = matches!(kind, SchedulerKind::Heun | SchedulerKind::Kdpm2 | SchedulerKind::Kdpm2Ancestral);
            let (mut sample, mut evaluated) = (tensor([0.3, -1.2, 0.8, 2.0]), Vec::new());
            for step in 0..scheduler.timesteps().len() {
                let mut model = |_, timestep| {
                    evaluated.push(timestep);
                    tensor([-0.4, 0.7, 1.1, -0.9])
                };
                sample = scheduler.advance(step, sample, &mut model, &mut || tensor([0.0; 4]));
            }
            // The middle of an ancestral step is about the next timestep, which is a whole number.
            assert!(evaluated.is_sorted_by(|a, b| a + 1.0 >= *b), "{kind}: {evaluated:?}");
            let expected = if twice { 2 * STEPS - 1 } else { scheduler.timesteps().len() };
            assert_eq!(evaluated.len(), expected, "{kind}");
        }
    }
}
