//! The memory of the autoencoder on the CPU, in a program of its own: the system tells the peak of a process.

#![cfg(target_os = "linux")]

use ae_tests::{peak_memory, reset_peak_memory};
use ae_vae::{AutoencoderKL, VaeConfig};
use burn::tensor::{Device, Distribution, Tensor};

/// Sides of the picture.
const ROWS: usize = 320;
const COLUMNS: usize = 512;

/// The two finest levels of Stable Diffusion's autoencoder; the coarser ones have smaller maps.
const CONFIG: &str = r#"{"block_out_channels": [128, 256], "layers_per_block": 1, "mid_block_add_attention": false}"#;

/// The peak of `run` above what is resident before, in feature maps of the picture's size with 128 channels.
fn maps_of<R>(run: impl FnOnce() -> R) -> f64 {
    reset_peak_memory();
    let before = peak_memory().unwrap();
    drop(run());
    (peak_memory().unwrap() - before) as f64 / (ROWS * COLUMNS * 128 * 4) as f64
}

/// A map of 256 channels, which the last enlargement gives, and one of 128, and what is worked on; the encoder has no map of 256
/// channels and this size. When every layer gave a whole map it was 5 and 3.
#[test]
fn the_autoencoder_holds_two_feature_maps() {
    let config = VaeConfig::from_json(CONFIG).unwrap();
    let device = Device::flex();
    let vae = AutoencoderKL::new(&config, &device);
    let random = |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    // Its random weights come to be when they are used first.
    vae.decode(vae.encode(random([1, 3, 16, 16])).mean);

    let latents = random([1, 4, ROWS / config.scale(), COLUMNS / config.scale()]);
    let decoding = maps_of(|| vae.decode(latents));
    let image = random([1, 3, ROWS, COLUMNS]);
    let encoding = maps_of(|| vae.encode(image));
    assert!(decoding < 3.6 && encoding < 2.6, "{decoding:.2} to decode, {encoding:.2} to encode");
}
