#![doc = include_str!("../README.md")]
//!
//! # Where to begin
//!
//! A [`ModelId`] is an alias of a [`KnownModel`] or `org/name[@revision]`. [`Hub::fetch`] downloads
//! the files that a pipeline needs, and no others, and returns a folder in diffusers' layout;
//! [`Hub::cached`] lists what is there already. The crate prints nothing: a [`Progress`] hears of
//! every file, byte and wait.
//!
//! - The cache is laid out as huggingface_hub does (`blobs`, `snapshots`, `refs`), so that a model
//!   downloaded by either is found by the other.
//! - Interrupted downloads go on where they broke off, within a run and from run to run. A file gets
//!   its name when it is whole and its SHA-256 is the hub's.
//! - `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH` and `HF_HUB_OFFLINE` mean
//!   what they mean to huggingface_hub, see [`HubSettings::from_env`].

mod address;
mod cache;
mod cached;
mod cleaning;
mod client;
mod damage;
mod download;
mod error;
mod files;
mod hub;
mod known;
mod model_id;
mod model_index;
mod progress;
mod retry;
mod settings;
#[cfg(test)]
mod testing;

pub use cached::CachedModel;
pub use cleaning::Removal;
pub use error::{HubError, ModelIdError};
pub use files::FileChoice;
pub use hub::{Fetched, Hub};
pub use known::{KNOWN, KnownModel};
pub use model_id::ModelId;
pub use progress::{Progress, Waiting};
pub use settings::HubSettings;
