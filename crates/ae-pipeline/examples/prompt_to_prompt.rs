//! Prompt-to-prompt (Hertz et al. 2022, section 3.2): swaps a word of a prompt and keeps the composition.
//!
//! ```sh
//! cargo run --release -p ae-pipeline --example prompt_to_prompt -- FOLDER "a cat and a red car" "a dog and a red car" 1
//! ```
//!
//! Both prompts are drawn in one batch from the same latents. For a share of the steps the target attends as the source does:
//! its attention maps are replaced by the source's. The picture in the folder (by default that for temporary files)
//! shows the source, the target drawn by itself, and the target with the source's attention. The model is the embedded one.
#![expect(clippy::print_stdout, reason = "an example's result")]

use std::convert::Infallible;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ae_pipeline::{AttentionKind, AttentionProcessor, AttentionSite, ModelSource, Pipeline};
use ae_scheduler::SchedulerConfig;
use ae_tensor::{Component, DeviceSpec, FloatType, NoiseKind, NoiseSource};
use ae_unet::{ConditioningText, UNet2DConditionModel, UNetConfig};
use burn::tensor::Tensor;
use image::{RgbImage, imageops};

const STEPS: usize = 50;
const GUIDANCE_SCALE: f64 = 7.5;
const TRAINING_TIMESTEPS: f64 = 1000.0;

/// Gives the target the attention of the source for a share of the steps.
struct WordSwap {
    cross_share: f64,
    self_share: f64,
    /// The share of the steps that is over.
    progress: f64,
}

impl WordSwap {
    fn new(cross_share: f64, self_share: f64) -> Self {
        Self { cross_share, self_share, progress: 0.0 }
    }
}

impl AttentionProcessor for WordSwap {
    type Break = Infallible;

    fn begin(&mut self, timestep: f64) {
        self.progress = 1.0 - timestep / TRAINING_TIMESTEPS;
    }

    fn wants(&self, site: &AttentionSite) -> bool {
        let share = match site.kind {
            AttentionKind::Cross => self.cross_share,
            AttentionKind::SelfAttention => self.self_share,
        };
        self.progress < share
    }

    fn process(&mut self, _: &AttentionSite, probs: Tensor<4>) -> ControlFlow<Infallible, Tensor<4>> {
        // The target is the last of the batch, the source the one before.
        let target = probs.dims()[0] - 1;
        let source = probs.clone().narrow(0, target - 1, 1);
        ControlFlow::Continue(Tensor::cat(vec![probs.narrow(0, 0, target), source], 0))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    let source = arguments.next().unwrap_or_else(|| "a cat and a red car".to_owned());
    let target = arguments.next().unwrap_or_else(|| "a dog and a red car".to_owned());
    let seed = arguments.next().map_or(Ok(1), |seed| seed.parse())?;

    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/sprites");
    let device = DeviceSpec::CPU.open()?;
    let files = ModelSource::folder(&model);
    let pipeline = Pipeline::load(&files, FloatType::F32, &device)?;
    let network = Component::<UNetConfig>::from_folder(model.join("unet"), false)?;
    let config = &network.config;
    let unet = UNet2DConditionModel::load(config, &network.weights, FloatType::F32, &device)?;
    let scheduler = std::fs::read_to_string(model.join("scheduler/scheduler_config.json"))?;
    let scheduler = SchedulerConfig::from_json(&scheduler)?.for_latent_diffusion();

    let [empty, source, target] = [pipeline.tokenize("")?, pipeline.tokenize(&source)?, pipeline.tokenize(&target)?];
    if source.words().len() != target.words().len() || source.end() != target.end() {
        return Err("the prompts must differ by words of the same number of tokens".into());
    }
    // One text without and one with a prompt for each of the two pictures.
    let text = unet.read_text(&pipeline.encode(&[&empty, &empty, &source, &target])?);
    let [rows, cols] = config.sample_size;
    let latents = NoiseSource::new(NoiseKind::TorchCpu, seed)
        .tensor([1, config.in_channels, rows, cols], &device)
        .repeat_dim(0, 2);

    let draw =
        |swap: WordSwap| pipeline.decode(denoise(&unet, &scheduler, latents.clone(), &text, swap)?).map_err(Box::from);
    let alone: Result<_, Box<dyn Error>> = draw(WordSwap::new(0.0, 0.0));
    let swapped: Result<_, Box<dyn Error>> = draw(WordSwap::new(0.8, 0.4));
    let [alone, swapped] = [alone?, swapped?];
    let path = folder.join("prompt-to-prompt.png");
    beside(&[&alone[0], &alone[1], &swapped[1]]).save(&path)?;
    println!("{}", path.display());
    Ok(())
}

/// Classifier-free guidance over all steps.
fn denoise(
    unet: &UNet2DConditionModel,
    scheduler: &SchedulerConfig,
    latents: Tensor<4>,
    text: &ConditioningText,
    mut swap: WordSwap,
) -> Result<Tensor<4>, Box<dyn Error>> {
    let mut scheduler = scheduler.build(scheduler.kind()?, STEPS)?;
    let pictures = latents.dims()[0];
    let mut latents = latents * scheduler.init_noise_sigma();
    for step in 0..scheduler.timesteps().len() {
        let input = scheduler.scale_model_input(latents.clone(), step);
        let predicted = unet.forward_with(input, scheduler.timesteps()[step], text, &mut swap);
        let without = predicted.clone().narrow(0, 0, pictures);
        let with = predicted.narrow(0, pictures, pictures);
        let guided = without.clone() + (with - without) * GUIDANCE_SCALE;
        latents = scheduler.step(guided, step, latents, &mut || unreachable!("the model's own sampler draws no noise"));
    }
    Ok(latents)
}

/// Pictures of the same size in a row.
fn beside(pictures: &[&RgbImage]) -> RgbImage {
    let (width, height) = pictures[0].dimensions();
    let mut row = RgbImage::new(width * pictures.len() as u32, height);
    for (index, picture) in pictures.iter().enumerate() {
        imageops::replace(&mut row, *picture, i64::from(width) * i64::try_from(index).expect("a few"), 0);
    }
    row
}
