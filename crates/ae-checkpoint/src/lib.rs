#![doc = include_str!("../README.md")]
//!
//! # Where to begin
//!
//! - [`Checkpoint::open`] takes a safetensors, PyTorch or GGUF file, [`Checkpoint::open_sharded`] an index of several,
//!   [`Checkpoint::open_folder`] the folder of a network. Nothing in a pickle is executed, and no allocation is sized by what a
//!   header claims.
//! - [`CheckpointKind::of`] names what a checkpoint is, also the kinds that are of no use here.
//! - [`SingleFile::split`] takes the networks out of a checkpoint in the original layout (CompVis, Stability AI), under diffusers'
//!   names; [`Checkpoint::extent`] helps to read a config off their shapes.
//! - [`Lora`] and [`Embedding`] read low-rank adaptations and textual inversions in their formats.
//!
//! The crate knows no tensor library: a [`StoredTensor`] is a type, a shape and bytes.

mod checkpoint;
mod embedding;
mod error;
mod folder;
mod foreign;
mod gguf;
mod kind;
mod lora;
mod mapping;
mod open;
mod pytorch;
mod shapes;
mod sharded;
mod single_file;
mod tensor;
mod write;

pub use checkpoint::Checkpoint;
pub use embedding::{Embedding, EmbeddingError};
pub use error::{ForeignError, OpenError};
pub use folder::Variants;
pub use kind::CheckpointKind;
pub use lora::{
    Lora, LoraError, LoraFactor, LoraFiles, LoraLayer, LoraMagnitude, LoraNetwork, LoraParameter, LoraUpdate,
};
/// The type of the numbers of a stored tensor.
pub use safetensors::Dtype as ElementType;
pub use single_file::{Family, SingleFile, SingleFileError};
pub use tensor::StoredTensor;
