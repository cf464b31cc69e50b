//! What every crate of the workspace stands on: the choice of a device, reading checkpoints, random
//! numbers that equal PyTorch's, and the layers the U-Net and the VAE share.
//!
//! - [`DeviceSpec`] parses `cpu`, `cuda:1`, `vulkan` … and opens the burn device behind it.
//! - [`load_weights`] fills a module from a [`Checkpoint`], strictly: missing, unexpected and misshapen
//!   tensors are named, and so are values that are not finite. [`apply_lora`] adds a LoRA to it.
//! - [`NoiseSource`] draws the standard normal numbers of `torch.Generator("cpu")` and
//!   `torch.Generator("cuda")`, so that a seed gives the same picture as in torch.
//! - [`nn`] holds the residual block and the up- and downsampling of the diffusers models.
//!
//! # Features
//!
//! `cpu`, `wgpu`, `vulkan`, `metal`, `cuda` and `rocm` compile the backend of that name. None is on by default:
//! a library names no backend, the program at the edge chooses.
//!
//! ```
//! use ae_tensor::{NoiseKind, NoiseSource};
//!
//! let mut noise = NoiseSource::new(NoiseKind::TorchCpu, 42);
//! // torch.randn(16, generator=torch.Generator("cpu").manual_seed(42))[0]
//! assert_eq!(noise.standard_normal(16)[0], 1.926_915_3);
//! ```

mod device;
mod dtype;
mod load;
mod lora;
mod module_path;
pub mod nn;
mod noise;
mod operations;
mod read;

/// The weights of a model before they are loaded; see [`ae_checkpoint`].
pub use ae_checkpoint::Checkpoint;
pub use ae_settings::{FloatType, NoiseKind};
pub use device::{Backend, DeviceError, DeviceInfo, DeviceSpec, compute_on, devices};
pub use dtype::BurnFloat;
pub use load::{CheckpointError, Component, KeyRules, MismatchReport, load_weights};
pub use lora::{LoraMismatch, apply_lora};
pub use noise::NoiseSource;
pub use operations::{Difference, OperationCheck, check_operations};
pub use read::{ComputeError, read};

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
