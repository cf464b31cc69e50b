//! Whole runs of the samplers against diffusers, over the cases of `make_samplers_fixtures.py`.

use ae_scheduler::{SchedulerConfig, SchedulerKind};
use ae_tests::{Tensors, fixtures};
use burn::tensor::{Device, Tensor};
use serde::Deserialize;

/// Largest difference of the last sample's elements, relative to the largest of them; both sides round to single precision.
const TOLERANCE: f32 = 2e-5;

/// Difference of timesteps that come from noise levels: interpolations of logarithms in single precision.
const TIMESTEP_TOLERANCE: f32 = 1e-3;

#[derive(Deserialize)]
struct Case {
    name: String,
    kind: String,
    config: serde_json::Value,
    eta: f64,
    steps: usize,
    first: usize,
    drawn: usize,
    init_noise_sigma: f64,
    /// One for every evaluation of the model.
    timesteps: Vec<f32>,
}

#[test]
fn whole_runs_of_samplers_equal_diffusers() {
    let folder = fixtures("samplers");
    let cases = std::fs::read(folder.join("cases.json")).expect("the fixture is in the repository");
    let cases: Vec<Case> = serde_json::from_slice(&cases).expect("valid cases");
    let tensors = Tensors::read(&folder.join("latents.safetensors"));
    assert!(cases.len() > 300);
    for kind in SchedulerKind::ALL {
        // These two are compared step by step, in `scheduler.rs`.
        let by_step = [SchedulerKind::Pndm, SchedulerKind::EulerAncestral].contains(kind);
        assert!(by_step || cases.iter().any(|case| case.kind == kind.name()), "{kind}");
    }
    for case in &cases {
        check(case, &tensors);
    }
}

fn check(case: &Case, tensors: &Tensors) {
    let Case { name, steps, first, .. } = case;
    let tensor = |key: &str| tensors.tensor::<4>(key, &Device::flex());
    let noise = tensors.tensor::<5>("noise", &Device::flex());
    let config = SchedulerConfig::from_json(&case.config.to_string()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let kind: SchedulerKind = case.kind.parse().expect("a sampler");
    let scheduler = config.with_eta(case.eta).build_from(kind, *steps, *first);
    let mut scheduler = scheduler.unwrap_or_else(|error| panic!("{name}: {error}"));

    let (ours, expected) = (scheduler.init_noise_sigma(), case.init_noise_sigma);
    assert!((ours - expected).abs() <= 1e-6 * expected, "{name}: {ours} and {expected}");
    let mut sample = if *first > 0 {
        scheduler.add_noise(tensor("image"), tensor("initial"), 0)
    } else {
        tensor("initial") * scheduler.init_noise_sigma()
    };
    let (mut timesteps, mut drawn) = (Vec::new(), 0);
    for step in 0..scheduler.timesteps().len() {
        let mut model = |input: Tensor<4>, timestep: f64| {
            let output = input * (0.3 * (timesteps.len() as f64).cos()) + tensor("bias");
            timesteps.push(timestep as f32);
            output
        };
        sample = scheduler.advance(step, sample, &mut model, &mut || {
            drawn += 1;
            noise.clone().narrow(0, drawn - 1, 1).reshape([1, 4, 4, 4])
        });
    }
    assert_eq!(drawn, case.drawn, "{name}: how often noise is drawn");
    assert_eq!(timesteps.len(), case.timesteps.len(), "{name}");
    for (ours, expected) in timesteps.iter().zip(&case.timesteps) {
        assert!((ours - expected).abs() < TIMESTEP_TOLERANCE, "{name}: timestep {ours} and {expected}");
    }
    let (expected, _) = tensors.values(name);
    let ours = sample.to_data().try_to_vec::<f32>().expect("f32 samples");
    let largest = expected.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
    let error = ours.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(error <= TOLERANCE * largest, "{name}: off by {error}, the largest element is {largest}");
}
