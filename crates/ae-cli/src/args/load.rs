use std::num::NonZeroUsize;
use std::path::PathBuf;

use ae_pipeline::{LoraChoice, PredictionType};
use ae_tensor::{DeviceSpec, FloatType};
use clap::Args;

use super::values;

/// Where pictures are drawn.
#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    /// Device: cpu, or cuda, rocm, wgpu, vulkan or metal, each with an index if wanted (cuda:1); see `ae devices`.
    /// Several, as "cuda:0,cuda:1", share the seeds.
    #[arg(long, default_value = "cpu", value_delimiter = ',', value_name = "DEVICE,..")]
    pub(crate) device: Vec<DeviceSpec>,

    /// Pictures of a prompt that are drawn together: faster where one alone does not keep the device busy, for more memory.
    #[arg(long, default_value = "1", value_name = "N")]
    pub(crate) batch_size: NonZeroUsize,
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
