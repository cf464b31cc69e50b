//! Devices: as people write them, opened, and described.

#[cfg(feature = "gpu")]
mod adapter;
mod backend;
mod choice;
mod compute;
mod error;
#[cfg(feature = "gpu")]
mod gpu;
mod info;
mod interrupt;
mod kind;
mod open;
mod opened;
mod spec;

pub use backend::Backend;
pub use choice::DeviceChoice;
pub use compute::compute_on;
pub(crate) use compute::is_cpu;
pub use error::DeviceError;
pub use info::{DeviceInfo, devices};
pub use interrupt::interruptible;
#[cfg(feature = "cpu")]
pub(crate) use interrupt::look_up;
pub use kind::{DeviceKind, by_preference, listed_devices};
pub use spec::DeviceSpec;
