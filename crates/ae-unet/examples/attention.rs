//! Lists the attention layers of a U-Net, looks at the first cross-attention map of a pass and ends
//! the pass there.
//!
//! ```sh
//! cargo run --release -p ae-unet --example attention -- MODEL/unet
//! ```
//!
//! Without a folder it is the embedded model's U-Net. The text is noise: the map shows where the
//! layer looks, not what for.
#![expect(clippy::print_stdout, reason = "an example's result")]

use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ae_tensor::{Checkpoint, DeviceSpec, FloatType, NoiseKind, NoiseSource};
use ae_unet::{AttentionKind, AttentionProcessor, AttentionSite, UNet2DConditionModel, UNetConfig};
use burn::tensor::Tensor;

/// Positions of the text, as many as CLIP gives.
const TOKENS: usize = 77;
/// The token whose map is drawn.
const TOKEN: usize = 2;

/// Ends the pass with the first cross-attention probabilities.
struct FirstCrossAttention;

impl AttentionProcessor for FirstCrossAttention {
    type Break = (AttentionSite, Tensor<4>);

    fn wants(&self, site: &AttentionSite) -> bool {
        site.kind == AttentionKind::Cross
    }

    fn process(&mut self, site: &AttentionSite, probs: Tensor<4>) -> ControlFlow<Self::Break, Tensor<4>> {
        ControlFlow::Break((*site, probs))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let embedded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/sprites/unet");
    let folder = std::env::args().nth(1).map_or(embedded, PathBuf::from);
    let device = DeviceSpec::CPU.open()?;
    let config = UNetConfig::from_json(&std::fs::read_to_string(folder.join("config.json"))?)?;
    let weights = Checkpoint::open(folder.join("diffusion_pytorch_model.safetensors"))?;
    let unet = UNet2DConditionModel::load(&config, &weights, FloatType::F32, &device)?;

    let [rows, cols] = config.sample_size;
    for site in config.attention_sites([rows, cols]) {
        println!("{site}");
    }

    let mut noise = NoiseSource::new(NoiseKind::TorchCpu, 0);
    let latents = noise.tensor([1, config.in_channels, rows, cols], &device);
    let text = unet.read_text(&noise.tensor([1, TOKENS, config.cross_attention_dim], &device));
    let timestep = 500.0;

    let start = Instant::now();
    let predicted_noise = unet.forward(latents.clone(), timestep, &text);
    println!("\na whole pass: {:?} in {:.0?}", predicted_noise.dims(), start.elapsed());

    let start = Instant::now();
    let ended = unet.try_forward_with(latents, timestep, &text, &mut FirstCrossAttention);
    let (site, probs) = ended.break_value().ok_or("this U-Net has no cross-attention")?;
    println!("ended at the first map: {:?} in {:.0?}\n", probs.dims(), start.elapsed());

    let [rows, cols] = site.resolution;
    println!("attention of {site} to token {TOKEN}, mean of the heads:");
    let map: Vec<f32> = probs.narrow(3, TOKEN, 1).mean_dim(1).reshape([rows * cols]).into_data().iter().collect();
    draw(&map, cols);
    Ok(())
}

/// Draws a map with characters of growing weight, from its smallest to its largest value.
fn draw(map: &[f32], cols: usize) {
    const SHADES: &[u8] = b" .:-=+*#%@";
    let (low, high) = map.iter().fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
    for row in map.chunks(cols) {
        let shade = |value: &f32| {
            let share = (value - low) / (high - low).max(f32::MIN_POSITIVE);
            let steps = SHADES.len() - 1;
            char::from(SHADES[(0..steps).filter(|step| share * steps as f32 > *step as f32).count()])
        };
        // Twice, because characters are about twice as high as wide.
        println!("{}", row.iter().map(shade).flat_map(|shade| [shade; 2]).collect::<String>());
    }
}
