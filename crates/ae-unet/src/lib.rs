//! Stable Diffusion's U-Net, diffusers' `UNet2DConditionModel`, with hooks on its attention.
//!
//! The model is built from a diffusers `config.json` ([`UNetConfig`]) and mirrors diffusers' parameter
//! names, so that its checkpoints load without a key map. It knows nothing of gradients: give it
//! latents on an autodiff device and the weights stay constants.
//!
//! An [`AttentionProcessor`] reaches into a pass ([`forward_with`](UNet2DConditionModel::forward_with)). At every
//! [`AttentionSite`] it says whether it wants the probabilities; it receives them there and then, and returns those that the
//! layer goes on with. Layers it does not want run fused attention, which never forms them. A processor that may end
//! the pass says so by its type ([`try_forward_with`](UNet2DConditionModel::try_forward_with)).
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use ae_unet::{AttentionKind, AttentionProcessor, AttentionSite};
//! use burn::tensor::Tensor;
//!
//! /// Ends the pass with its first cross-attention map.
//! struct First;
//!
//! impl AttentionProcessor for First {
//!     type Break = Tensor<4>;
//!
//!     fn wants(&self, site: &AttentionSite) -> bool {
//!         site.kind == AttentionKind::Cross
//!     }
//!
//!     fn process(&mut self, _: &AttentionSite, probs: Tensor<4>) -> ControlFlow<Tensor<4>, Tensor<4>> {
//!         ControlFlow::Break(probs)
//!     }
//! }
//! ```

mod attention;
mod config;
mod down_block;
mod embedding;
mod feed_forward;
mod mid_block;
mod processor;
mod shape;
mod site;
mod text;
mod transformer;
mod unet;
mod up_block;

pub use ae_config::ConfigError;
pub use config::{DownBlockType, MidBlockType, PerLevel, UNetConfig, UpBlockType};
pub use processor::{AttentionProcessor, observe_attention};
pub use site::{AttentionKind, AttentionSite, Place};
pub use text::ConditioningText;
pub use unet::UNet2DConditionModel;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
