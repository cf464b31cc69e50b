//! Stable Diffusion checkpoints of every format as named tensors, read as data and copied as late as possible.
//!
//! - [`Checkpoint::open`] takes a safetensors or PyTorch file, [`Checkpoint::open_sharded`] an index of
//!   several. Nothing in a pickle is executed, and no allocation is sized by what a header claims.
//! - [`CheckpointKind::of`] names what a checkpoint is, also the kinds that are of no use here.
//! - [`SingleFile::split`] takes the networks out of a checkpoint in the original layout (CompVis, Stability
//!   AI), under diffusers' names; [`Checkpoint::extent`] helps to read a config off their shapes.
//! - [`Lora`] and [`Embedding`] read low-rank adaptations and textual inversions in their formats.
//!
//! The crate knows no tensor library: a [`StoredTensor`] is a type, a shape and bytes.
//!
//! ```no_run
//! use ae_checkpoint::{Checkpoint, SingleFile};
//!
//! let checkpoint = Checkpoint::open("v1-5-pruned-emaonly.safetensors")?;
//! let model = SingleFile::split(&checkpoint)?;
//! println!("{:?}: {} U-Net tensors", model.family, model.unet.tensors().len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checkpoint;
mod element;
mod embedding;
mod error;
mod folder;
mod foreign;
mod kind;
mod lora;
mod mapping;
mod open;
mod pytorch;
mod shapes;
mod sharded;
mod single_file;
mod tensor;

pub use checkpoint::Checkpoint;
pub use element::ElementType;
pub use embedding::{Embedding, EmbeddingError};
pub use error::OpenError;
pub use kind::CheckpointKind;
pub use lora::{Lora, LoraError, LoraLayer, LoraNetwork};
pub use single_file::{Family, SingleFile, SingleFileError};
pub use tensor::StoredTensor;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
