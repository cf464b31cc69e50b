//! The memory of the autoencoder on the CPU, in a program of its own: the system tells the peak of a process.

#![cfg(target_os = "linux")]

use ae_tests::{peak_memory, reset_peak_memory};
use ae_vae::{AutoencoderKL, VaeConfig};
use burn::tensor::{Device, Distribution, Tensor};

/// Rows of the larger and the smaller picture. Their difference has nothing of weights, bands, and what the heap keeps.
const ROWS: [usize; 2] = [256, 128];
const COLUMNS: usize = 640;

/// The two finest levels of Stable Diffusion's autoencoder; the coarser ones have smaller maps.
const CONFIG: &str = r#"{"block_out_channels": [128, 256], "layers_per_block": 1, "mid_block_add_attention": false}"#;

/// The feature maps of the picture's size with 128 channels that exist at a time.
fn maps<R>(run: impl Fn(usize) -> R) -> f64 {
    let [larger, smaller] = ROWS.map(|rows| {
        reset_peak_memory();
        drop(run(rows));
        peak_memory().unwrap() as f64
    });
    (larger - smaller) / ((ROWS[0] - ROWS[1]) * COLUMNS * 128 * 4) as f64
}

/// A map of 256 channels, which the last enlargement gives, and one of 128 are the three of the decoder; the encoder has two of 128.
/// When every layer gave a whole map it was five and three.
#[test]
fn the_autoencoder_holds_two_feature_maps() {
    let config = VaeConfig::from_json(CONFIG).unwrap();
    let device = Device::flex();
    let vae = AutoencoderKL::new(&config, &device);
    let random = |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    // Its random weights come to be when they are used first.
    vae.decode(vae.encode(random([1, 3, 16, 16])).mean);

    let scale = config.scale();
    let decoding = maps(|rows| vae.decode(random([1, 4, rows / scale, COLUMNS / scale])));
    let encoding = maps(|rows| vae.encode(random([1, 3, rows, COLUMNS])));
    assert!((2.5..3.2).contains(&decoding), "{decoding:.2} to decode");
    assert!((1.5..2.2).contains(&encoding), "{encoding:.2} to encode");
}
