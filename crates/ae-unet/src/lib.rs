#![doc = include_str!("../README.md")]
//!
//! # Where to begin
//!
//! [`UNet2DConditionModel::from_folder`] loads a folder; [`UNetConfig`] is its `config.json`, and the modules mirror diffusers'
//! parameter names, so that its checkpoints load without a key map.
//!
//! An [`AttentionProcessor`] reaches into a pass ([`forward_with`](UNet2DConditionModel::forward_with)). At every
//! [`AttentionSite`] it says whether it wants the probabilities; it receives them there and then, and returns those that the
//! layer goes on with. Layers it does not want run fused attention, which never forms them. A processor that may end
//! the pass says so by its type ([`try_forward_with`](UNet2DConditionModel::try_forward_with)).

mod attention;
mod block;
mod config;
mod embedding;
mod feed_forward;
mod memory;
mod pass;
mod processor;
mod shape;
mod site;
mod text;
mod transformer;
mod unet;

pub use ae_checkpoint::Family;
pub use ae_config::ConfigError;
pub use ae_tensor::{Checkpoint, CheckpointError, DeviceSpec, FloatType};
pub use config::{DownBlockType, MidBlockType, PerLevel, UNetConfig, UpBlockType};
pub use processor::{AttentionProcessor, observe_attention};
pub use site::{AttentionKind, AttentionSite, Place};
pub use text::ConditioningText;
pub use unet::UNet2DConditionModel;
