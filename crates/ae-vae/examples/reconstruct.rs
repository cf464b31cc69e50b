//! Encodes a picture into latents, decodes them and prints how much of the picture is left.
//!
//! ```sh
//! cargo run --release -p ae-vae --example reconstruct -- MODEL/vae
//! ```
//!
//! Without a folder it is the embedded model's autoencoder.
#![expect(clippy::print_stdout, reason = "an example's result")]

use std::error::Error;
use std::path::{Path, PathBuf};

use ae_tensor::{Checkpoint, DeviceSpec, FloatType, NoiseKind, NoiseSource};
use ae_vae::{AutoencoderKL, VaeConfig};
use burn::tensor::{Device, Tensor, TensorData};

/// Sides of the picture, a multiple of every autoencoder's scale.
const SIDE: usize = 128;

fn main() -> Result<(), Box<dyn Error>> {
    let embedded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/sprites/vae");
    let folder = std::env::args().nth(1).map_or(embedded, PathBuf::from);
    let device = DeviceSpec::CPU.open()?;
    let config = VaeConfig::from_json(&std::fs::read_to_string(folder.join("config.json"))?)?;
    let weights = Checkpoint::open(folder.join("diffusion_pytorch_model.safetensors"))?;
    let vae = AutoencoderKL::load(&config, &weights, FloatType::F32, &device)?;

    let noise = NoiseSource::new(NoiseKind::TorchCpu, 0).tensor([1, 3, SIDE, SIDE], &device);
    for (name, image) in [("gradient", gradient(&device)), ("disc", disc(&device)), ("noise", noise.clamp(-1.0, 1.0))] {
        let latents = vae.encode(image.clone()).mean;
        let decoded = vae.decode(latents.clone()).clamp(-1.0, 1.0);
        println!("{name:<8}  {:?} -> {:?}  PSNR {:>5.1} dB", image.dims(), latents.dims(), psnr(image, decoded));
    }
    Ok(())
}

/// Red grows to the right, green downwards.
fn gradient(device: &Device) -> Tensor<4> {
    paint(device, |x, y| [x, y, 0.0])
}

/// A yellow disc on white.
fn disc(device: &Device) -> Tensor<4> {
    paint(device, |x, y| if x.hypot(y) < 0.6 { [1.0, 0.6, -0.8] } else { [1.0; 3] })
}

/// A picture `[1, 3, SIDE, SIDE]` of a colour for every place; places and colours are in -1 .. 1.
fn paint(device: &Device, colour: impl Fn(f32, f32) -> [f32; 3]) -> Tensor<4> {
    let place = |pixel: usize| (2 * pixel + 1) as f32 / SIDE as f32 - 1.0;
    let pixels: Vec<f32> =
        (0..SIDE * SIDE).flat_map(|pixel| colour(place(pixel % SIDE), place(pixel / SIDE))).collect();
    Tensor::from_data(TensorData::new(pixels, [1, SIDE, SIDE, 3]), device).permute([0, 3, 1, 2])
}

/// Peak signal-to-noise ratio of pictures in -1 .. 1, in decibels.
fn psnr(image: Tensor<4>, decoded: Tensor<4>) -> f32 {
    let mean_squared_error = (image - decoded).powi_scalar(2).mean().into_scalar::<f32>();
    10.0 * (4.0 / mean_squared_error).log10()
}
