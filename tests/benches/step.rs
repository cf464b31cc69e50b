//! One noise prediction of a U-Net, as often as it is asked for; for `cargo xtask bench --only engines`:
//!
//! `cargo bench -p ae-tests --bench step -- MODEL CASE.safetensors`
//!
//! It speaks as `tests/reference/measure_engines.py` does, which writes the case: first a line of JSON with the `difference` to
//! what torch predicts, by its norm, then `seconds` and `peak` for each line of its input.

#![allow(clippy::print_stdout, reason = "a program that reports")]

use std::hint::black_box;
use std::io::{BufRead, stdin};
use std::path::{Path, PathBuf};
use std::time::Instant;

use ae_kernels::in_pool;
use ae_tensor::{FloatType, read};
use ae_tests::{Tensors, peak_memory, relative_difference};
use ae_unet::UNet2DConditionModel;
use burn::tensor::{Device, Tensor};
use clap::Parser;
use serde_json::json;

/// Predict the noise once for each line of the input
#[derive(Debug, Parser)]
struct Arguments {
    /// A folder in diffusers' layout; cargo gives none where it only tests that the program runs
    model: Option<PathBuf>,
    /// The recorded inputs and what torch predicts
    case: Option<PathBuf>,
    /// cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    if let Arguments { model: Some(model), case: Some(case), .. } = Arguments::parse() {
        in_pool(|| answer(&model, &case));
    }
}

fn answer(model: &Path, case: &Path) {
    let device = Device::flex();
    let unet = UNet2DConditionModel::from_folder(model.join("unet"), FloatType::F32, &device).expect("a U-Net");
    let case = Tensors::read(case);
    let latents: Tensor<4> = case.tensor("latents", &device);
    let text = unet.read_text(&case.tensor("text", &device));
    let predict = || unet.forward(latents.clone(), 981.0, &text);

    let (expected, _) = case.values("expected");
    let predicted = read(predict()).expect("values");
    println!("{}", json!({ "difference": relative_difference(&predicted, &expected) }));
    for line in stdin().lock().lines() {
        line.expect("a line");
        let start = Instant::now();
        black_box(predict());
        println!("{}", json!({ "seconds": start.elapsed().as_secs_f64(), "peak": peak_memory() }));
    }
}
