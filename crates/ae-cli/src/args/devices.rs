use std::num::NonZeroUsize;

use ae_tensor::DeviceChoice;
use clap::Args;

/// Reads a number of pictures: beyond what any device draws at a time, memory would be the first to say so.
fn batch_size(text: &str) -> Result<NonZeroUsize, String> {
    const MOST: usize = 256;
    let size = text.parse().ok().filter(|size: &NonZeroUsize| size.get() <= MOST);
    size.ok_or_else(|| format!("expected a number from 1 to {MOST}"))
}

/// What the help puts these options under.
pub(super) const DEVICE: &str = "Device";

/// Where pictures are drawn.
#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    /// Device: cpu, or cuda, rocm, wgpu, vulkan or metal, each with an index if wanted (cuda:1); see `ae devices`. `auto` is the
    /// best GPU that passes `ae self-test --quick`, else the CPU. Several, as "cuda:0,cuda:1", share the seeds.
    #[arg(long, help_heading = DEVICE, default_value = "auto", value_delimiter = ',', value_name = "DEVICE,..")]
    pub(crate) device: Vec<DeviceChoice>,

    /// Pictures of a prompt that are drawn together: faster where one alone does not keep the device busy, for more memory.
    #[arg(long, help_heading = DEVICE, hide_short_help = true, default_value = "1", value_name = "N", value_parser = batch_size)]
    pub(crate) batch_size: NonZeroUsize,

    /// Keep a network on the device only while it works, and of guidance as little as above 512x512 pixels; slower, with the same pictures.
    #[arg(long, help_heading = DEVICE, hide_short_help = true)]
    pub(crate) low_memory: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_bounded_by_a_message() {
        assert_eq!((batch_size("1").unwrap().get(), batch_size("256").unwrap().get()), (1, 256));
        for wrong in ["0", "257", "18446744073709551615", "-1", "", "x"] {
            assert_eq!(batch_size(wrong).unwrap_err(), "expected a number from 1 to 256");
        }
    }
}
