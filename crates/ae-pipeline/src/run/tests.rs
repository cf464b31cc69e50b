use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ae_scheduler::{SchedulerKind, SigmaSpacing};
use ae_tensor::{DeviceSpec, FloatType, NoiseKind};
use image::RgbImage;

use super::*;
use crate::{ModelSource, Request, Thresholds};

/// Some ulps of single precision at the largest input: scaling and its inverse round.
const ROUNDING: f32 = 2e-6;

/// The embedded model.
fn pipeline() -> Pipeline {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/sprites");
    Pipeline::load(&ModelSource::folder(folder), FloatType::F32, &DeviceSpec::CPU.open().unwrap()).unwrap()
}

fn request(pipeline: &Pipeline, kind: SchedulerKind) -> Request {
    pipeline.request("a cat and a dog").with(|request| request.settings.scheduler = Some(kind))
}

fn values(tensor: &Tensor<4>) -> Vec<f32> {
    tensor.to_data().try_into_vec_as().unwrap()
}

/// DDIM as far as guidance sees it, at the timesteps of another sampler: what the U-Net sees are the latents.
#[derive(Debug)]
struct Unscaled {
    timesteps: Vec<f64>,
    /// How often it was told of a shift.
    shifts: Arc<AtomicUsize>,
}

impl Scheduler for Unscaled {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn sample_was_shifted(&mut self) {
        self.shifts.fetch_add(1, Ordering::Relaxed);
    }

    fn add_noise(&self, _: Tensor<4>, _: Tensor<4>, _: usize) -> Tensor<4> {
        unreachable!("only guidance runs")
    }

    fn step(&mut self, _: Tensor<4>, _: usize, _: Tensor<4>, _: &mut dyn FnMut() -> Tensor<4>) -> Tensor<4> {
        unreachable!("only guidance runs")
    }
}

/// The shift of the U-Net's input by one update at the step, from the given input.
fn shift(run: &mut Run<'_>, input: &Tensor<4>, step: usize) -> Vec<f32> {
    let pipeline = run.pipeline;
    let unet = pipeline.unet.get().unwrap();
    let texts = run.read_texts(&unet);
    run.latents = run.scheduler.unscale_model_input(input.clone(), step);
    let guided = run.guide(&unet, &texts, step, &mut |_| ControlFlow::Continue(())).unwrap();
    run.go_on_with(&guided.expect("a guided step"), step);
    values(&(run.scheduler.scale_model_input(run.latents.clone(), step) - input.clone()))
}

#[test]
fn an_update_shifts_the_models_input_alike_under_every_sampler() {
    let mut pipeline = pipeline();
    let plain = pipeline.scheduler.clone();
    let mut tested = Vec::new();
    for (karras, strength) in [(false, None), (true, None), (false, Some(0.8)), (true, Some(0.8))] {
        pipeline.scheduler = if karras { plain.clone().with_sigmas(SigmaSpacing::Karras) } else { plain.clone() };
        for &kind in SchedulerKind::ALL {
            let mut request = request(&pipeline, kind);
            request.settings.attend_and_excite.thresholds = Thresholds::none();
            if let Some(strength) = strength {
                request.init_image = Some(RgbImage::new(64, 64));
                request.settings.strength = Some(strength);
            }
            let Ok(prepared) = pipeline.prepare(&request) else {
                assert!(karras, "{kind} draws");
                continue;
            };
            let mut run = Run::set_up(&pipeline, &prepared).unwrap();
            let input = NoiseSource::new(NoiseKind::TorchCpu, 3).tensor(run.latents.dims(), &pipeline.device);
            for step in [0, 7] {
                let shifted = shift(&mut run, &input, step);
                let timesteps = run.scheduler.timesteps().to_vec();
                let mut as_ddim = Run::set_up(&pipeline, &prepared).unwrap();
                as_ddim.scheduler = Box::new(Unscaled { timesteps, shifts: Arc::default() });
                let expected = shift(&mut as_ddim, &input, step);
                let largest = expected.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
                let errors = shifted.iter().zip(&expected).map(|(shifted, expected)| (shifted - expected).abs());
                let error = errors.fold(0.0, f32::max);
                let name = format!("{kind}, step {step}, Karras {karras}, image-to-image {strength:?}");
                assert!(largest > 1e-3, "{name}: the largest shift is {largest}");
                assert!(error <= 1e-4 * largest + ROUNDING, "{name}: {error} of {largest}");
            }
            tested.push((kind, karras));
        }
    }
    for expected in SchedulerKind::ALL.iter().map(|kind| (*kind, false)).chain([(SchedulerKind::Euler, true)]) {
        assert!(tested.contains(&expected), "{expected:?}");
    }
}

/// The stand-in of the test above is DDIM where both have the same timesteps.
#[test]
fn euler_shifts_the_models_input_as_ddim() {
    let pipeline = pipeline();
    let mut shifts = [SchedulerKind::Ddim, SchedulerKind::Euler, SchedulerKind::EulerAncestral].map(|kind| {
        let prepared = pipeline.prepare(&request(&pipeline, kind)).unwrap();
        let mut run = Run::set_up(&pipeline, &prepared).unwrap();
        let input = NoiseSource::new(NoiseKind::TorchCpu, 3).tensor(run.latents.dims(), &pipeline.device);
        (run.scheduler.timesteps()[7], shift(&mut run, &input, 7))
    });
    let (timestep, ddim) = std::mem::take(&mut shifts[0]);
    let largest = ddim.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
    for (at, shifted) in &shifts[1..] {
        assert!((at - timestep).abs() < 1e-9, "{at} and {timestep}");
        for (shifted, expected) in shifted.iter().zip(&ddim) {
            assert!((shifted - expected).abs() <= 1e-4 * largest + ROUNDING, "{shifted} {expected}");
        }
    }
}

#[test]
fn a_sampler_is_told_of_a_shift_unless_it_is_to_correct_it() {
    let pipeline = pipeline();
    for (correct_altered_steps, expected) in [(false, 1), (true, 0)] {
        let mut request = request(&pipeline, SchedulerKind::UniPc);
        request.settings.correct_altered_steps = correct_altered_steps;
        let prepared = pipeline.prepare(&request).unwrap();
        let mut run = Run::set_up(&pipeline, &prepared).unwrap();
        let shifts = Arc::new(AtomicUsize::new(0));
        let timesteps = run.scheduler.timesteps().to_vec();
        run.scheduler = Box::new(Unscaled { timesteps, shifts: shifts.clone() });
        let input = NoiseSource::new(NoiseKind::TorchCpu, 3).tensor(run.latents.dims(), &pipeline.device);
        shift(&mut run, &input, 0);
        assert_eq!(shifts.load(Ordering::Relaxed), expected);
    }
}
