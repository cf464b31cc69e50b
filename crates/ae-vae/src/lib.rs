//! Stable Diffusion's variational autoencoder, diffusers' `AutoencoderKL`: between pictures and latents.
//!
//! The model is built from a diffusers `config.json` ([`VaeConfig`]) and mirrors diffusers' parameter
//! names; the attention names of checkpoints older than diffusers 0.18 are mapped.

mod attention;
mod autoencoder;
mod config;
mod decoder;
mod encoder;
mod mid_block;
mod tiling;

pub use ae_config::ConfigError;
pub use autoencoder::{AutoencoderKL, LatentDistribution};
pub use config::VaeConfig;
pub use tiling::VaeTiling;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
