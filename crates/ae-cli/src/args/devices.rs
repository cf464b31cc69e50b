use std::num::NonZeroUsize;

use ae_tensor::DeviceSpec;
use clap::Args;

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

    /// Keep a network on the device only while it works; slower, with the same pictures.
    #[arg(long)]
    pub(crate) low_memory: bool,
}
