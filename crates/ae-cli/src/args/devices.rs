use ae_tensor::DeviceChoice;
use attend_and_excite::BatchSize;
use clap::Args;

/// What the help puts these options under.
pub(super) const DEVICE: &str = "Device";

/// Where pictures are drawn.
#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    /// Device: cpu, or cuda, rocm, wgpu, vulkan or metal, each with an index if wanted (cuda:1); see `ae devices`. `auto` is the
    /// best GPU that passes `ae self-test --quick`, else the CPU. Several, as "cuda:0,cuda:1", share the seeds.
    #[arg(long, help_heading = DEVICE, default_value = "auto", value_delimiter = ',', value_name = "DEVICE,..")]
    pub(crate) device: Vec<DeviceChoice>,

    /// Pictures of a prompt that are drawn together: faster where one alone does not keep the device busy, for more memory. `auto` is 8
    /// small ones on the CPU (latents of 32x32), or as many as fit into the free memory, else 1. A number that does not fit is made smaller.
    #[arg(long, help_heading = DEVICE, hide_short_help = true, default_value_t, value_name = "N|auto")]
    pub(crate) batch_size: BatchSize,

    /// Keep a network on the device only while it works, and of guidance as little as above 512x512 pixels; slower, with the same pictures.
    #[arg(long, help_heading = DEVICE, hide_short_help = true)]
    pub(crate) low_memory: bool,
}
