//! Opens a device and draws on it what `torch.randn` draws for a seed.
//!
//! ```sh
//! cargo run --release -p ae-tensor --features cpu --example noise -- 42 cpu
//! ```
//!
//! The device is one that the features compile in: `cpu`, `wgpu`, `vulkan`, `metal` or `cuda`.
#![expect(clippy::print_stdout, reason = "an example's result")]

use std::error::Error;

use ae_tensor::{DeviceSpec, NoiseKind, NoiseSource};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seed = arguments.next().map_or(Ok(42), |seed| seed.parse())?;
    let spec: DeviceSpec = arguments.next().map_or(Ok(DeviceSpec::CPU), |spec| spec.parse())?;
    let device = spec.open()?;

    println!("{:<12} {:>10} {:>10} {:>10} {:>10} {:>10}", "seed", "first", "second", "third", "mean", "deviation");
    for kind in [NoiseKind::TorchCpu, NoiseKind::TorchCuda] {
        // torch.randn(1, 4, 64, 64, generator=torch.Generator("cpu").manual_seed(seed)), or "cuda"
        let latents = NoiseSource::new(kind, seed).tensor([1, 4, 64, 64], &device);
        let mean = latents.clone().mean().into_scalar::<f32>();
        let deviation = (latents.clone() - mean).powi_scalar(2).mean().sqrt().into_scalar::<f32>();
        let values: Vec<f32> = latents.into_data().iter().take(3).collect();
        println!(
            "{:<12} {:>10.6} {:>10.6} {:>10.6} {mean:>10.6} {deviation:>10.6}",
            format!("{kind} {seed}"),
            values[0],
            values[1],
            values[2]
        );
    }
    Ok(())
}
