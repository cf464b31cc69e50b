use ae_pipeline::SchedulerKind;
use ae_tensor::NoiseKind;
use clap::Args;

/// How latents become pictures, whatever the method.
#[derive(Debug, Args)]
pub(crate) struct SamplingArgs {
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

    /// Decode large pictures in overlapping tiles: less memory, slightly different pictures.
    #[arg(long)]
    pub(crate) vae_tiling: bool,

    /// Layers left out at the end of the text encoder; 1 is the "clip skip 2" of other programs.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) clip_skip: usize,
}
