//! Every sampler against diffusers, step by step, over the cases of `make_scheduler_fixtures.py`.

use std::collections::HashMap;
use std::path::Path;

use ae_scheduler::{Scheduler, SchedulerConfig, SchedulerKind, SigmaSpacing};
use ae_tests::fixtures;
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::SafeTensors;
use serde::Deserialize;

/// Largest difference of a sample's element, relative to the sample's largest element. Measured: 1e-6,
/// and 1.8e-6 with clipping. Both sides round to float32 at every step, diffusers its coefficients too.
const SAMPLE_TOLERANCE: f32 = 3e-6;

/// The same with zero terminal SNR, measured at 9.4e-6: Euler's first step goes from noise level 4096
/// to about 10, and diffusers subtracts numbers of the first size to get there.
const ZERO_SNR_TOLERANCE: f32 = 2e-5;

/// Relative difference of the initial noise's deviation: some ulps of float32.
const SIGMA_TOLERANCE: f64 = 1e-6;

/// Difference of the fractional timesteps of Karras' noise levels: they come from differences of
/// float32 logarithms of neighbouring noise levels. Measured: 6e-5. All other timesteps are equal.
const KARRAS_TIMESTEP_TOLERANCE: f32 = 5e-4;

#[derive(Deserialize)]
struct Manifest {
    configs: HashMap<String, serde_json::Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    kind: String,
    config: String,
    karras: bool,
    steps: usize,
    init_noise_sigma: f64,
    timesteps: Vec<f32>,
    /// The steps whose resulting sample is recorded.
    recorded: Vec<usize>,
}

/// The recorded tensors `[..., 1, 4, 4, 4]`, by name.
struct Samples(HashMap<String, Vec<f32>>);

impl Samples {
    const LEN: usize = 4 * 4 * 4;

    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("the fixture is in the repository");
        let tensors = SafeTensors::deserialize(&bytes).expect("a safetensors file");
        let floats = |bytes: &[u8]| {
            let (values, _) = bytes.as_chunks::<4>();
            values.iter().map(|value| f32::from_le_bytes(*value)).collect()
        };
        Self(tensors.iter().map(|(name, view)| (name.to_owned(), floats(view.data()))).collect())
    }

    /// The values of sample `index` of the tensor `name`.
    fn values(&self, name: &str, index: usize) -> &[f32] {
        &self.0[name][index * Self::LEN..][..Self::LEN]
    }

    fn tensor(&self, name: &str, index: usize) -> Tensor<4> {
        let data = TensorData::new(self.values(name, index).to_vec(), [1, 4, 4, 4]);
        Tensor::from_data(data, &Device::flex())
    }
}

#[test]
fn samplers_equal_diffusers() {
    let folder = fixtures("scheduler");
    let manifest = std::fs::read(folder.join("cases.json")).expect("the fixture is in the repository");
    let Manifest { configs, cases } = serde_json::from_slice(&manifest).expect("valid cases");
    let samples = Samples::read(&folder.join("samples.safetensors"));
    assert!(cases.len() > 300);

    for case in &cases {
        let config = SchedulerConfig::from_json(&configs[&case.config].to_string());
        let mut config = config.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        if case.karras {
            config = config.with_sigmas(SigmaSpacing::Karras);
        }
        let kind: SchedulerKind = case.kind.parse().expect("a sampler");
        let mut scheduler = config.build(kind, case.steps).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        check_schedule(case, scheduler.as_ref());
        // Twice: the second run must not remember the first.
        for _ in 0..2 {
            check_samples(case, scheduler.as_mut(), &samples);
        }
    }
}

fn check_schedule(case: &Case, scheduler: &dyn Scheduler) {
    let name = &case.name;
    let timesteps: Vec<f32> = scheduler.timesteps().iter().map(|timestep| *timestep as f32).collect();
    if case.kind == "euler" && name.contains("karras") {
        assert_eq!(timesteps.len(), case.timesteps.len(), "{name}");
        for (ours, expected) in timesteps.iter().zip(&case.timesteps) {
            assert!((ours - expected).abs() < KARRAS_TIMESTEP_TOLERANCE, "{name}: {ours} and {expected}");
        }
    } else {
        assert_eq!(timesteps, case.timesteps, "{name}");
    }
    let (ours, expected) = (scheduler.init_noise_sigma(), case.init_noise_sigma);
    assert!((ours - expected).abs() <= SIGMA_TOLERANCE * expected, "{name}: {ours} and {expected}");
}

/// Walks the case's steps with the script's stand-in for a model.
fn check_samples(case: &Case, scheduler: &mut dyn Scheduler, samples: &Samples) {
    let tolerance = if case.config == "zero-snr" { ZERO_SNR_TOLERANCE } else { SAMPLE_TOLERANCE };
    let mut recorded = case.recorded.iter().enumerate();
    let mut next = recorded.next();
    let mut sample = samples.tensor("initial", 0) * scheduler.init_noise_sigma();
    for step in 0..case.timesteps.len() {
        let input = scheduler.scale_model_input(sample.clone(), step);
        let output = input * (0.3 * (step as f64).cos()) + samples.tensor("bias", 0);
        let mut draws = 0;
        sample = scheduler.step(output, step, sample, &mut || {
            draws += 1;
            samples.tensor("noise", step)
        });
        assert_eq!(draws, u32::from(case.kind == "euler-a"), "{}: noise of step {step}", case.name);

        if let Some((index, _)) = next.filter(|(_, recorded_step)| **recorded_step == step) {
            let ours = sample.to_data().try_to_vec::<f32>().expect("f32 samples");
            let expected = samples.values(&case.name, index);
            let largest = expected.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
            let error = ours.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(
                error <= tolerance * largest,
                "{}: step {step} is off by {error}, its largest element is {largest}",
                case.name
            );
            next = recorded.next();
        }
    }
    assert!(next.is_none(), "{}: fewer steps than recorded", case.name);
}
