#![doc = include_str!("../README.md")]
//!
//! # Where to begin
//!
//! [`AutoencoderKL::from_folder`] loads a folder; [`VaeConfig`] is its `config.json`. [`AutoencoderKL::decode_tiled`] decodes large
//! latents in bounded memory.

mod attention;
mod autoencoder;
mod config;
mod half;
mod mid_block;
mod tiling;

pub use ae_config::ConfigError;
pub use ae_tensor::{Checkpoint, CheckpointError, DeviceSpec, FloatType};
pub use autoencoder::{AutoencoderKL, LatentDistribution};
pub use config::VaeConfig;
pub use tiling::VaeTiling;
