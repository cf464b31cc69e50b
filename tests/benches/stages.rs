//! Time, arithmetic and memory of every stage of a picture, beside what the machine's matrix product would allow:
//!
//! `cargo bench -p ae-tests --bench stages -- MODEL --size 256,512 --batch 1,2` (without `MODEL`: the embedded one)
//!
//! Prints Markdown. What the kernels do not account for is under "other". The limit is the time that the operations of
//! a stage take at the rate of the best product of large matrices; algorithms that need fewer multiplications than the
//! definition can be faster than it.

#![allow(clippy::print_stdout, reason = "a program that reports")]

use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ae_guidance::{AttendAndExcite, GuidanceSettings, Subjects, aggregate_attention};
use ae_kernels::{Kernel, Profile, WeightOrder, in_pool, linear};
use ae_pipeline::{ModelSource, Pipeline};
use ae_tensor::nn::shared;
use ae_tensor::{Checkpoint, FloatType};
use ae_tests::{peak_memory, reset_peak_memory, sprites};
use ae_unet::{AttentionKind, AttentionProcessor, AttentionSite, ConditioningText, UNet2DConditionModel, UNetConfig};
use ae_vae::{AutoencoderKL, VaeConfig};
use burn::tensor::{Device, Distribution, Tensor};
use clap::Parser;

/// Measure every stage of a picture
#[derive(Debug, Parser)]
struct Arguments {
    /// A folder in diffusers' layout [default: the embedded model]
    model: Option<PathBuf>,
    /// Sides of the picture in pixels [default: the model's own]
    #[arg(long, value_delimiter = ',')]
    size: Vec<usize>,
    /// Numbers of pictures drawn together
    #[arg(long, value_delimiter = ',', default_value = "1")]
    batch: Vec<usize>,
    /// Runs of each stage, of which the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Stages by the beginnings of their names, such as guidance,noise [default: all]
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Compute transformers again in the backward pass at every size
    #[arg(long)]
    low_memory: bool,
    /// cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let arguments = Arguments::parse();
    let folder = arguments.model.clone().unwrap_or_else(sprites);
    in_pool(|| measure(&arguments, &Models::load(&folder, arguments.low_memory)));
}

fn measure(Arguments { size, batch, rounds, only, .. }: &Arguments, models: &Models) {
    let rate = product_rate();
    println!("Matrix product: {:.0} GFLOP/s, {} threads\n", rate / 1e9, rayon_threads());
    println!(
        "| size | batch | stage | seconds | GFLOP | limit, s | convolution | linear | attention | normalisation | elementwise | other | peak MB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    let own = [models.unet_config.sample_size[0] * models.vae_config.scale()];
    for &size in if size.is_empty() { &own } else { size.as_slice() } {
        for &batch in batch {
            for (stage, measured) in models.stages(size, batch, *rounds, only) {
                let Measured { seconds, profile, peak } = measured;
                let operations = profile.total().operations as f64;
                let of = |kernel| profile.of(kernel).time.as_secs_f64();
                let kinds: Vec<_> = Kernel::ALL.into_iter().map(|kernel| format!("{:.3}", of(kernel))).collect();
                let other = seconds - profile.total().time.as_secs_f64();
                let peak = peak.map_or("?".to_owned(), |peak| (peak / 1_000_000).to_string());
                println!(
                    "| {size} | {batch} | {stage} | {seconds:.3} | {:.1} | {:.3} | {} | {other:.3} | {peak} |",
                    operations / 1e9,
                    operations / rate,
                    kinds.join(" | "),
                );
            }
        }
    }
}

fn rayon_threads() -> usize {
    std::env::var("RAYON_NUM_THREADS")
        .ok()
        .and_then(|threads| threads.parse().ok())
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
}

/// Floating point operations per second of the better of two products of large matrices: burn's and that of the kernels.
fn product_rate() -> f64 {
    const SIDE: usize = 2048;
    let device = Device::flex();
    let matrix = || Tensor::<2>::random([SIDE, SIDE], Distribution::Default, &device);
    let (a, b) = (matrix(), matrix());
    let (left, right) = (vec![0.5_f32; SIDE * SIDE], vec![0.5_f32; SIDE * SIDE]);
    let fastest = |run: &dyn Fn()| {
        let time = || {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        };
        (0..8).map(|_| time()).fold(f64::INFINITY, f64::min)
    };
    let burns = fastest(&|| drop(black_box(a.clone().matmul(b.clone()))));
    let own = fastest(&|| drop(black_box(linear(&left, &*right, WeightOrder::InputsFirst, SIDE, None, None))));
    2.0 * (SIDE as f64).powi(3) / burns.min(own)
}

struct Models {
    pipeline: Pipeline,
    unet: UNet2DConditionModel,
    unet_config: UNetConfig,
    vae: AutoencoderKL,
    vae_config: VaeConfig,
}

impl Models {
    /// The networks twice, in the pipeline and alone; they are mapped files, which exist once.
    fn load(folder: &Path, low_memory: bool) -> Self {
        let device = Device::flex();
        let pipeline = Pipeline::load(&ModelSource::folder(folder), FloatType::F32, &device).expect("a model");
        let config = |part: &str| std::fs::read_to_string(folder.join(part).join("config.json")).expect("a config");
        let weights = |part: &str| {
            Checkpoint::open(folder.join(part).join("diffusion_pytorch_model.safetensors")).expect("weights")
        };
        let unet_config = UNetConfig::from_json(&config("unet")).expect("a U-Net");
        let vae_config = VaeConfig::from_json(&config("vae")).expect("a VAE");
        let unet =
            UNet2DConditionModel::load(&unet_config, &weights("unet"), FloatType::F32, &device).expect("weights");
        let unet = if low_memory { unet.recomputing() } else { unet };
        let vae = AutoencoderKL::load(&vae_config, &weights("vae"), FloatType::F32, &device).expect("weights");
        Self { pipeline, unet, unet_config, vae, vae_config }
    }

    fn stages(&self, size: usize, batch: usize, rounds: usize, only: &[String]) -> Vec<(&'static str, Measured)> {
        let is_wanted = |stage: &str| only.is_empty() || only.iter().any(|begin| stage.starts_with(begin));
        let side = size / self.vae_config.scale();
        let latents = Tensor::<4>::random([batch, 4, side, side], Distribution::Normal(0.0, 1.0), &Device::flex());
        let prompts = ["", "a cat and a dog"].map(|prompt| self.pipeline.tokenize(prompt).expect("a prompt"));
        let prompts = [&prompts[0], &prompts[1]];
        let text = self.unet.read_text(&self.pipeline.encode(&prompts).expect("embeddings"));
        let guidance = GuidedPass::new(self, side, &text);
        let both = text.repeat_each(batch);

        let mut stages = Vec::new();
        if is_wanted("text encoder") {
            stages.push(("text encoder", median(rounds, || once(|| self.pipeline.encode(&prompts)).1)));
        }
        if is_wanted("guidance") {
            let mut backward = Vec::new();
            let forward = median(rounds, || {
                let (loss, forward) = once(|| guidance.loss(latents.clone()));
                // The leaf is kept, or its gradient would not be.
                backward.push(once(|| loss.0.sum().backward()).1);
                drop(loss.1);
                forward
            });
            stages.extend([("guidance, forward", forward), ("guidance, backward", middle(backward))]);
        }
        if is_wanted("noise prediction") {
            let predicted = median(rounds, || once(|| self.unet.forward(latents.clone(), 981.0, &both)).1);
            stages.push(("noise prediction", predicted));
        }
        if is_wanted("VAE decoder") {
            let first = latents.narrow(0, 0, 1) / self.vae_config.scaling_factor;
            stages.push(("VAE decoder, one picture", median(rounds, || once(|| self.vae.decode(first.clone())).1)));
        }
        stages
    }
}

/// What guidance runs of the U-Net.
struct GuidedPass<'a> {
    unet: &'a UNet2DConditionModel,
    text: ConditioningText,
    resolution: [usize; 2],
    layers: usize,
    objective: AttendAndExcite,
}

impl<'a> GuidedPass<'a> {
    fn new(models: &'a Models, side: usize, text: &ConditioningText) -> Self {
        let resolution = [side.div_ceil(models.pipeline.defaults().attention_reduction); 2];
        let sites = models.unet_config.attention_sites([side; 2]);
        let wanted = |site: &&AttentionSite| site.kind == AttentionKind::Cross && site.resolution == resolution;
        let layers = sites.iter().filter(wanted).count();
        let subjects = Subjects::new(vec![vec![2], vec![5]], 77, None).expect("subjects");
        let objective = AttendAndExcite::new(GuidanceSettings::default(), subjects, resolution).expect("an objective");
        Self { unet: &models.unet, text: text.narrow(1, 1), resolution, layers, objective }
    }

    /// The losses of tracked latents, and these.
    fn loss(&self, latents: Tensor<4>) -> (Tensor<1>, Tensor<4>) {
        let latents = latents.autodiff().require_grad();
        let mut maps = Maps { resolution: self.resolution, layers: self.layers, seen: Vec::new() };
        let text = self.text.repeat_to(latents.dims()[0]);
        let _ = self.unet.try_forward_with(latents.clone(), 981.0, &text, &mut maps);
        let maps = aggregate_attention(maps.seen, self.resolution);
        (self.objective.score(self.objective.subject_maps(maps)).loss, latents)
    }
}

struct Maps {
    resolution: [usize; 2],
    layers: usize,
    seen: Vec<Tensor<4>>,
}

impl AttentionProcessor for Maps {
    type Break = ();

    fn wants(&self, site: &AttentionSite) -> bool {
        site.kind == AttentionKind::Cross && site.resolution == self.resolution
    }

    fn process(&mut self, _: &AttentionSite, probs: Tensor<4>) -> ControlFlow<(), Tensor<4>> {
        // As ae-pipeline does.
        let [seen, probs] = shared(probs);
        self.seen.push(seen);
        if self.seen.len() == self.layers { ControlFlow::Break(()) } else { ControlFlow::Continue(probs) }
    }
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    seconds: f64,
    profile: Profile,
    /// Peak resident memory of the process during the stage, in bytes, where the system tells it.
    peak: Option<u64>,
}

fn once<R>(run: impl FnOnce() -> R) -> (R, Measured) {
    reset_peak_memory();
    Profile::take();
    let start = Instant::now();
    let result = black_box(run());
    let seconds = start.elapsed().as_secs_f64();
    (result, Measured { seconds, profile: Profile::take(), peak: peak_memory() })
}

fn median(rounds: usize, mut run: impl FnMut() -> Measured) -> Measured {
    middle((0..rounds.max(1)).map(|_| run()).collect())
}

fn middle(mut measured: Vec<Measured>) -> Measured {
    measured.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    measured[measured.len() / 2]
}
