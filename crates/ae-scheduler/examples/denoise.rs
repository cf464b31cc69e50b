//! Runs every sampler with a perfect model, which knows the clean sample and so the exact noise in
//! whatever it is shown, and prints how far each ends from that sample.
//!
//! ```sh
//! cargo run --release -p ae-scheduler --example denoise -- 20
//! ```
#![expect(clippy::print_stdout, reason = "an example's result")]

use std::error::Error;

use ae_scheduler::{SchedulerConfig, SchedulerKind};
use burn::tensor::{Device, Distribution, Tensor};

/// Stable Diffusion's noise schedule. `leading` keeps the timesteps of all samplers whole.
const CONFIG: &str = r#"{
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
    "clip_sample": false, "set_alpha_to_one": true, "skip_prk_steps": true,
    "timestep_spacing": "leading", "steps_offset": 1
}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let steps = std::env::args().nth(1).map_or(Ok(20), |steps| steps.parse())?;
    let config = SchedulerConfig::from_json(CONFIG)?;
    let device = Device::flex();
    device.seed(7);
    let gaussian = || Tensor::<4>::random([1, 4, 8, 8], Distribution::Normal(0.0, 1.0), &device);
    let target = gaussian();
    let initial_noise = gaussian();

    println!("{:<12} {:>5} {:>12}", "sampler", "calls", "RMS error");
    for &kind in SchedulerKind::ALL {
        let mut scheduler = config.build(kind, steps)?;
        let mut sample = initial_noise.clone() * scheduler.init_noise_sigma();
        let mut calls = 0;
        for step in 0..scheduler.timesteps().len() {
            let mut model = |input: Tensor<4>, timestep: f64| {
                calls += 1;
                // input = alpha * target + sigma * noise, solved for the noise
                let (alpha, sigma) = signal_and_noise(timestep);
                (input - target.clone() * alpha) / sigma
            };
            sample = scheduler.advance(step, sample, &mut model, &mut || gaussian());
        }
        let error = (sample - target.clone()).powi_scalar(2).mean().sqrt().into_scalar::<f32>();
        println!("{kind:<12} {calls:>5} {error:>12.2e}");
    }
    Ok(())
}

/// The share of signal and of noise in a training sample at `timestep`, of [`CONFIG`].
fn signal_and_noise(timestep: f64) -> (f64, f64) {
    let (start, end) = (0.00085_f64.sqrt(), 0.012_f64.sqrt());
    let alpha_squared: f64 = (0..=999)
        .map(f64::from)
        .take_while(|t| *t <= timestep)
        .map(|t| 1.0 - (start + (end - start) * t / 999.0).powi(2))
        .product();
    (alpha_squared.sqrt(), (1.0 - alpha_squared).sqrt())
}
