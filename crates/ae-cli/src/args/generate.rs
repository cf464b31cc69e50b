use std::num::NonZeroUsize;
use std::path::PathBuf;

use ae_pipeline::{EotNormalization, LoraChoice, PredictionType, SchedulerKind};
use ae_tensor::{DeviceSpec, FloatType, NoiseKind};
use clap::{Args, ValueEnum};

use super::PromptArgs;
use super::values::{self, Resolution, ScaleRange, Seeds, Thresholds};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MethodName {
    /// Guidance towards the subjects.
    AttendAndExcite,
    /// Plain sampling.
    StableDiffusion,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct GenerateArgs {
    #[command(flatten)]
    pub(crate) prompts: PromptArgs,

    /// Seeds, one picture each: "0,1,2", ranges "0-63".
    #[arg(long, default_value = "42")]
    pub(crate) seeds: Seeds,

    /// The generator behind a seed: torch-cpu or torch-cuda.
    #[arg(long, default_value_t = NoiseKind::TorchCpu, value_name = "GENERATOR")]
    pub(crate) rng: NoiseKind,

    /// Number of denoising steps [default: the model's, or 50].
    #[arg(long, value_name = "N")]
    pub(crate) steps: Option<usize>,

    /// Scale of classifier-free guidance [default: the model's, or 7.5].
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(crate) guidance_scale: Option<f64>,

    /// What the picture shall not show.
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub(crate) negative_prompt: String,

    /// Height in pixels [default: the model's].
    #[arg(long, value_name = "PIXELS")]
    pub(crate) height: Option<usize>,

    /// Width in pixels [default: the model's].
    #[arg(long, value_name = "PIXELS")]
    pub(crate) width: Option<usize>,

    /// Sampler: pndm, ddim, euler, euler-a or dpmpp-2m [default: the model's].
    #[arg(long, value_name = "NAME")]
    pub(crate) scheduler: Option<SchedulerKind>,

    /// Method.
    #[arg(long, value_enum, default_value = "attend-and-excite")]
    pub(crate) method: MethodName,

    /// Device: cpu, or cuda, rocm, wgpu, vulkan or metal, each with an index if wanted (cuda:1); see `ae devices`.
    /// Several, as "cuda:0,cuda:1", share the seeds.
    #[arg(long, default_value = "cpu", value_delimiter = ',', value_name = "DEVICE,..")]
    pub(crate) device: Vec<DeviceSpec>,

    /// Pictures of a prompt that are drawn together: faster where one alone does not keep the device busy, for more memory.
    #[arg(long, default_value = "1", value_name = "N")]
    pub(crate) batch_size: NonZeroUsize,

    #[command(flatten)]
    pub(crate) load: LoadArgs,

    /// Decode large pictures in overlapping tiles: less memory, slightly different pictures.
    #[arg(long)]
    pub(crate) vae_tiling: bool,

    /// Layers left out at the end of the text encoder; 1 is the "clip skip 2" of other programs.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) clip_skip: usize,

    /// Picture to start from (PNG, JPEG or WebP).
    #[arg(long, value_name = "FILE")]
    pub(crate) init_image: Option<PathBuf>,

    /// How much of the initial picture is drawn anew, above 0 up to 1.
    #[arg(long, default_value_t = 0.8, value_name = "X", allow_negative_numbers = true, requires = "init_image")]
    pub(crate) strength: f64,

    /// Folder for the pictures.
    #[arg(long, default_value = "outputs", value_name = "DIR")]
    pub(crate) output: PathBuf,

    /// Also write the trace of the run as JSON: timesteps, losses, refinement, wall time.
    #[arg(long)]
    pub(crate) trace: bool,

    /// Also draw the plain picture of the same seed, and both side by side.
    #[arg(long)]
    pub(crate) compare: bool,

    /// Also draw the cross-attention maps of the subjects, or of all tokens, as heat maps: at the last step, over the steps,
    /// and the loss of every subject as a chart.
    #[arg(long, value_enum, value_name = "WHOSE", num_args = 0..=1, default_missing_value = "subjects")]
    pub(crate) maps: Option<Whose>,

    /// Also write an animated PNG of the steps: the decoded latents beside the maps.
    #[arg(long)]
    pub(crate) animation: bool,

    /// Also write a report: one HTML file with pictures, maps, losses and settings, which needs nothing else.
    #[arg(long)]
    pub(crate) report: bool,

    /// Steps between two decoded previews in figures, animation and report [default: 1, for pictures above 256 pixels 5].
    #[arg(long, value_name = "N")]
    pub(crate) preview_every: Option<NonZeroUsize>,

    /// Say nothing but errors and the files written.
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say the settings and every loss.
    #[arg(short, long)]
    pub(crate) verbose: bool,

    // Last, because its heading would cover what follows.
    #[command(flatten)]
    pub(crate) guidance: GuidanceArgs,
}

impl GenerateArgs {
    /// Whether anything is made of the steps.
    pub(crate) fn shows_steps(&self) -> bool {
        self.maps.is_some() || self.animation || self.report
    }
}

/// How a model is loaded, and what is added to it.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Type of weights and activations: f32, f16 or bf16.
    #[arg(long, default_value_t = FloatType::F32)]
    pub(crate) dtype: FloatType,

    /// Keep a network on the device only while it works; slower, with the same pictures.
    #[arg(long)]
    pub(crate) low_memory: bool,

    /// LoRA and its strength [default: 1]. May be given several times.
    #[arg(long, value_name = "FILE[:STRENGTH]", value_parser = values::lora)]
    pub(crate) lora: Vec<LoraChoice>,

    /// Another autoencoder: a file, or a folder in diffusers' layout.
    #[arg(long, value_name = "PATH")]
    pub(crate) vae: Option<PathBuf>,

    /// What the U-Net predicts: epsilon, v_prediction or sample [default: as the model says].
    #[arg(long, value_name = "NAME")]
    pub(crate) prediction_type: Option<PredictionType>,
}

/// Whose attention is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Whose {
    /// The subjects of the prompt.
    Subjects,
    /// Every token of the prompt.
    All,
}

/// The parameters of Attend-and-Excite.
#[derive(Debug, Args)]
#[command(next_help_heading = "Attend-and-Excite")]
pub(crate) struct GuidanceArgs {
    /// Latents are updated at the steps below this one.
    #[arg(long, default_value_t = 25, value_name = "N")]
    pub(crate) max_iter_to_alter: usize,

    /// Steps with iterative refinement and the attention each subject must reach there, or "none".
    #[arg(long, default_value = "0:0.05,10:0.5,20:0.8", value_name = "STEP:X,..")]
    pub(crate) thresholds: Thresholds,

    /// Most updates of one refinement.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) max_refinement_steps: usize,

    /// Step size of the latent update [default: the model's, or 20].
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(crate) scale_factor: Option<f64>,

    /// The step size shrinks with the root of a line between these two.
    #[arg(long, default_value = "1.0,0.5", value_name = "FROM,TO", allow_hyphen_values = true)]
    pub(crate) scale_range: ScaleRange,

    /// Factor before the softmax over tokens [default: the model's, or 100].
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(crate) attention_scale: Option<f64>,

    /// Attention maps to read: "16" or rows x columns, "12x20" [default: by model and picture size].
    #[arg(long, value_name = "N|RxC")]
    pub(crate) attention_res: Option<Resolution>,

    /// Do not smooth the maps.
    #[arg(long, conflicts_with_all = ["sigma", "kernel_size"])]
    pub(crate) no_smoothing: bool,

    /// Width of the Gaussian [default: 0.5].
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(crate) sigma: Option<f64>,

    /// Side of the Gaussian's kernel, odd [default: 3].
    #[arg(long, value_name = "N")]
    pub(crate) kernel_size: Option<usize>,

    /// Leave the end token and the padding out of the softmax; auto does so for Stable Diffusion 2.
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub(crate) eot_normalization: When,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    On,
    Off,
}

impl From<When> for EotNormalization {
    fn from(when: When) -> Self {
        match when {
            When::Auto => Self::Auto,
            When::On => Self::On,
            When::Off => Self::Off,
        }
    }
}
