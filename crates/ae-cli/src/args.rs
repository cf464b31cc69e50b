//! The command line, as clap reads it.

mod eval;
mod generate;
mod guidance;
mod load;
mod sampling;
mod serve;
mod values;

use ae_pipeline::EmbeddingChoice;
use ae_tensor::{DeviceSpec, FloatType};
use clap::{Args, Parser, Subcommand};

pub(crate) use eval::{Ablation, EvalCommand, EvalReportArgs, EvalRunArgs, EvalScoreArgs};
pub(crate) use generate::{GenerateArgs, MethodName, Whose};
pub(crate) use guidance::GuidanceArgs;
pub(crate) use load::{DeviceArgs, LoadArgs};
pub(crate) use sampling::SamplingArgs;
pub(crate) use serve::ServeArgs;

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
    /// Draw a prompt with and without guidance, and everything that explains the difference.
    ///
    /// As `generate --compare --maps --animation --report`.
    Explain(Box<GenerateArgs>),
    /// Open the studio: a page in the browser to draw, watch and compare, and its REST API.
    Serve(Box<ServeArgs>),
    /// Evaluate methods: draw the prompts of a benchmark, score the pictures, report.
    Eval {
        #[command(subcommand)]
        command: EvalCommand,
    },
    /// Show the tokens of a prompt and which of them are subjects.
    Tokens(TokensArgs),
    /// List the models that are compiled in, cached, and known by a short name.
    Models,
    /// List the devices of this build and this machine.
    Devices,
    /// Compare a device with the CPU: whether its results can be trusted.
    SelfTest(SelfTestArgs),
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
    /// Once per prompt. Without it: the nouns of the prompt.
    #[arg(long, value_name = "WORDS", conflicts_with = "token_indices")]
    pub(crate) subjects: Vec<String>,

    /// Token positions that must appear, e.g. "2,5" (see `ae tokens`). Once per prompt.
    #[arg(long, value_name = "INDICES")]
    pub(crate) token_indices: Vec<String>,

    /// A folder in diffusers' layout, a single file (.safetensors, .ckpt), or a name: sd14, sd15, sd21-base, sd21 or
    /// `ORG/NAME[@REVISION]` of the Hugging Face hub (see `ae models`) [default: the embedded model].
    #[arg(long, value_name = "PATH|NAME")]
    pub(crate) model: Option<String>,

    /// Textual inversion; its token, the file's own or TOKEN, can be used in prompts and as a subject. May be given
    /// several times.
    #[arg(long, value_name = "FILE[:TOKEN]", value_parser = values::embedding)]
    pub(crate) embedding: Vec<EmbeddingChoice>,

    /// Read `(word:1.3)`, `(word)` and `[word]` as weights; otherwise brackets are text.
    #[arg(long)]
    pub(crate) prompt_weighting: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TokensArgs {
    #[command(flatten)]
    pub(crate) prompts: PromptArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SelfTestArgs {
    /// Devices to compare [default: every device but the CPU].
    #[arg(long, value_delimiter = ',', value_name = "DEVICE,..")]
    pub(crate) device: Vec<DeviceSpec>,

    /// Type of weights and activations on the device: f32, f16 or bf16.
    #[arg(long, default_value_t = FloatType::F32)]
    pub(crate) dtype: FloatType,

    /// A model as in `ae generate` [default: the embedded model].
    #[arg(long, value_name = "PATH|NAME")]
    pub(crate) model: Option<String>,

    /// No progress of downloads.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}
