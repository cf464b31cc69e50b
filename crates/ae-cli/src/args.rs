//! The command line, as clap reads it.

mod values;

use std::path::PathBuf;

use ae_pipeline::SchedulerKind;
use ae_tensor::{DeviceSpec, FloatType, NoiseKind};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use values::{Resolution, ScaleRange, Seeds, Thresholds};

/// Text-to-image with Attend-and-Excite: every subject of the prompt appears in the picture.
#[derive(Debug, Parser)]
#[command(name = "ae", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Draw pictures of a prompt.
    Generate(Box<GenerateArgs>),
    /// Show the tokens of a prompt and which of them are subjects.
    Tokens(TokensArgs),
    /// Print the licence notices of the embedded model.
    #[cfg(feature = "embedded")]
    Notices,
}

/// What the commands share: a model, prompts and their subjects.
#[derive(Debug, Args)]
pub(crate) struct PromptArgs {
    /// What to draw; may be given several times.
    #[arg(long, required = true, value_name = "TEXT")]
    pub(crate) prompt: Vec<String>,

    /// Words or phrases of the prompt that must appear, e.g. "cat,dog"; `cat#2` is the second cat.
    /// Once per prompt. Without it: the content words of the prompt.
    #[arg(long, value_name = "WORDS", conflicts_with = "token_indices")]
    pub(crate) subjects: Vec<String>,

    /// Token positions that must appear, e.g. "2,5" (see `ae tokens`). Once per prompt.
    #[arg(long, value_name = "INDICES")]
    pub(crate) token_indices: Vec<String>,

    /// Model folder in diffusers' layout [default: the embedded model].
    #[arg(long, value_name = "DIR")]
    pub(crate) model: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TokensArgs {
    #[command(flatten)]
    pub(crate) prompts: PromptArgs,
}

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

    /// Device: cpu, or cuda, wgpu, vulkan or metal, each with an index if wanted (cuda:1).
    #[arg(long, default_value_t = DeviceSpec::CPU)]
    pub(crate) device: DeviceSpec,

    /// Type of weights and activations: f32.
    #[arg(long, default_value_t = FloatType::F32)]
    pub(crate) dtype: FloatType,

    /// Folder for the pictures.
    #[arg(long, default_value = "outputs", value_name = "DIR")]
    pub(crate) output: PathBuf,

    /// Also write the trace of the run as JSON: timesteps, losses, refinement, wall time.
    #[arg(long)]
    pub(crate) trace: bool,

    /// Also draw the plain picture of the same seed, and both side by side.
    #[arg(long)]
    pub(crate) compare: bool,

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

    /// Leave the end token and the padding out of the softmax (the official code's choice for SD 2).
    #[arg(long)]
    pub(crate) eot_normalization: bool,
}
