//! Stable Diffusion's U-Net, diffusers' `UNet2DConditionModel`, with hooks on its attention.
//!
//! The model is built from a diffusers `config.json` ([`UNetConfig`]) and mirrors diffusers' parameter
//! names, so that its checkpoints load without a key map. It knows nothing of gradients: give it
//! latents on an autodiff device and the weights stay constants.
//!
//! Attention is observed by passing an [`AttentionObserver`] to
//! [`forward_with`](UNet2DConditionModel::forward_with). At every [`AttentionSite`] the observer says
//! whether it wants the probabilities; it receives them there and then, and can stop the pass. What
//! nobody wants runs fused attention, which never forms them.
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use ae_unet::{AttentionKind, AttentionObserver, AttentionSite};
//! use burn::tensor::Tensor;
//!
//! /// Keeps the first cross-attention map of the pass and ends the pass there.
//! struct First(Option<Tensor<4>>);
//!
//! impl AttentionObserver for First {
//!     fn wants(&self, site: &AttentionSite) -> bool {
//!         site.kind == AttentionKind::Cross
//!     }
//!
//!     fn observe(&mut self, _site: &AttentionSite, probs: Tensor<4>) -> ControlFlow<()> {
//!         self.0 = Some(probs);
//!         ControlFlow::Break(())
//!     }
//! }
//! ```

mod attention;
mod config;
mod down_block;
mod embedding;
mod feed_forward;
mod mid_block;
mod observer;
mod shape;
mod site;
mod text;
mod transformer;
mod unet;
mod up_block;

pub use ae_config::ConfigError;
pub use config::{DownBlockType, MidBlockType, PerLevel, UNetConfig, UpBlockType};
pub use observer::AttentionObserver;
pub use site::{AttentionKind, AttentionSite, Place};
pub use text::ConditioningText;
pub use unet::UNet2DConditionModel;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
