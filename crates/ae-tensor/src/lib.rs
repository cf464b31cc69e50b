#![doc = include_str!("../README.md")]
//!
//! # Where to begin
//!
//! - [`DeviceSpec`] parses `cpu`, `cuda:1`, `vulkan` ... and opens the burn device behind it.
//! - [`load_weights`] fills a module from a [`Checkpoint`], strictly; a [`Component`] is a network's config and weights, from its
//!   folder. [`apply_lora`] adds a LoRA; [`restore_weights`] takes it out again.
//! - [`NoiseSource`] draws the standard normal numbers of `torch.Generator("cpu")` and
//!   `torch.Generator("cuda")`, so that a seed gives the same picture as in torch.
//! - [`nn`] holds the layers that the networks share.
//!
//! # Features
//!
//! `cpu`, `wgpu`, `vulkan`, `metal`, `cuda` and `rocm` compile the backend of that name. None is on by default:
//! a library names no backend, the program at the edge chooses.

mod device;
mod dtype;
mod load;
mod lora;
mod module_path;
pub mod nn;
mod noise;
mod operations;
mod quantized;
mod read;
mod store;

/// The weights of a model before they are loaded; see [`ae_checkpoint`].
pub use ae_checkpoint::Checkpoint;
pub use ae_settings::{FloatType, NoiseKind};
pub use device::{
    Backend, DeviceChoice, DeviceError, DeviceInfo, DeviceKind, DeviceSpec, by_preference, compute_on, devices,
    interruptible, listed_devices,
};
pub use dtype::BurnFloat;
pub use load::{CheckpointError, Component, KeyRules, MismatchReport, check_files, load_weights, restore_weights};
pub use lora::{LoraMismatch, apply_lora, lora_places};
pub use noise::NoiseSource;
pub use operations::{Difference, Extent, OperationCheck, check_operations};
pub use quantized::quantize_weights;
pub use read::{ComputeError, read};
pub use store::checkpoint_of;
