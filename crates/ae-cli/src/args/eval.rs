use std::path::PathBuf;

use ae_eval::Shard;
use clap::{Args, Subcommand, ValueEnum};

use super::values::Seeds;
use super::{DeviceArgs, GuidanceArgs, LoadArgs, MethodName, SamplingArgs};

/// The parts of an evaluation.
#[derive(Debug, Subcommand)]
pub(crate) enum EvalCommand {
    /// Draw every prompt with every seed by every method; goes on where it was interrupted.
    Run(Box<EvalRunArgs>),
}

#[derive(Debug, Args)]
pub(crate) struct EvalRunArgs {
    /// The paper's 276 prompts, one of its sets (animals, animals-objects, objects), numbers (two, three and four things), or a
    /// file: text with one prompt per line, or JSON with subjects.
    #[arg(long, default_value = "paper", value_name = "SET|FILE")]
    pub(crate) prompts: String,

    /// Only so many prompts of every set, evenly chosen.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,

    /// Seeds of every prompt: "0,1,2", ranges "0-63", which are the paper's.
    #[arg(long, default_value = "0-3")]
    pub(crate) seeds: Seeds,

    /// What is compared; the first is what the others are compared with.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "METHOD,..",
        default_value = "stable-diffusion,composable-diffusion,structure-diffusion,attend-and-excite"
    )]
    pub(crate) methods: Vec<MethodName>,

    /// Compare settings of Attend-and-Excite instead of methods.
    #[arg(long, value_enum, conflicts_with = "methods")]
    pub(crate) ablation: Option<Ablation>,

    /// A model as in `ae generate` [default: the embedded model].
    #[arg(long, value_name = "PATH|NAME")]
    pub(crate) model: Option<String>,

    /// Folder of the evaluation.
    #[arg(long, default_value = "evaluation", value_name = "DIR")]
    pub(crate) output: PathBuf,

    /// Draw one part of several, INDEX/COUNT from 0 [default: what a Slurm array or an indexed Kubernetes Job says, or all].
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,

    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,

    #[command(flatten)]
    pub(crate) devices: DeviceArgs,

    #[command(flatten)]
    pub(crate) load: LoadArgs,

    /// Say nothing but errors.
    #[arg(short, long)]
    pub(crate) quiet: bool,

    // Last, because its heading would cover what follows.
    #[command(flatten)]
    pub(crate) guidance: GuidanceArgs,
}

/// What an ablation varies; everything else is as the options say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ablation {
    /// The latents are updated at the first half of the steps, or at all (paper, Fig. 12).
    AlteredSteps,
    /// With and without Gaussian smoothing of the maps.
    Smoothing,
    /// With and without iterative refinement.
    Refinement,
    /// The thresholds of refinement: each alone, and stricter ones.
    Thresholds,
    /// Step sizes from a quarter to four times the default.
    ScaleFactor,
    /// The factor before the softmax over tokens, from 5 to 100.
    AttentionScale,
    /// Each resolution at which the U-Net has cross-attention.
    AttentionResolution,
}
