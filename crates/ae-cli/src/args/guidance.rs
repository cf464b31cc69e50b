use ae_pipeline::EotNormalization;
use clap::{Args, ValueEnum};

use super::values::{Resolution, ScaleRange, Thresholds};

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
