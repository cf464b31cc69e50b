//! Guides a toy model: prints the loss of every subject while the latents are refined.
//!
//! ```sh
//! cargo run --release -p ae-guidance --example toy
//! ```
#![expect(clippy::print_stdout, reason = "an example's result")]

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::ControlFlow;

use ae_guidance::{Evaluation, Guidance, GuidanceSettings, Subjects};
use ae_tensor::{DeviceSpec, NoiseKind, NoiseSource};
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

/// `<sot>`, "a cat and a dog" and `<eot>`.
const TOKENS: usize = 7;
const SIDE: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let device = DeviceSpec::CPU.open()?;
    let mut noise = NoiseSource::new(NoiseKind::TorchCpu, 4);

    // In place of a U-Net: every patch of four channels listens to the tokens through fixed keys.
    let keys = noise.tensor([1, 1, 4, TOKENS], &device);
    let model = |latents: Tensor<4>| {
        let batch = latents.dims()[0];
        let patches = latents.reshape([batch, 1, 4, SIDE * SIDE]).swap_dims(2, 3);
        vec![softmax(patches.matmul(keys.clone()), 3)]
    };

    let settings = GuidanceSettings {
        thresholds: BTreeMap::from([(0, 0.8)]),
        // The toy reacts to its latents far more directly than a U-Net does.
        attention_scale: 10.0,
        scale_factor: 2.0,
        ..GuidanceSettings::default()
    };
    let subjects = Subjects::new(vec![vec![2], vec![5]], TOKENS, None)?;
    let guidance = Guidance::new(settings, subjects, [SIDE, SIDE])?;

    println!("updates    cat    dog   loss");
    let mut print = |Evaluation { iteration, losses, .. }: Evaluation<'_>| {
        println!("{iteration:>7} {:>6.3} {:>6.3} {:>6.3}", losses.subjects[0], losses.subjects[1], losses.loss);
        ControlFlow::Continue(())
    };
    let latents = noise.tensor([1, 4, SIDE, SIDE], &device) * 0.2;
    guidance.guide(&model, latents, 0, 50, &mut print)?.read_traces(&mut print)?;
    Ok(())
}
