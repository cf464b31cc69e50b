//! Adapters: LoRA and its relatives, as files of updates to the weights of a model.

mod adapter_config;
mod address;
mod error;
mod files;
mod keys;
mod ldm;
mod parts;
mod update;

use std::collections::BTreeMap;
use std::path::Path;

pub use error::LoraError;
pub use files::LoraFiles;
pub(crate) use keys::{is_other_adapter, is_update};
pub use update::{LoraFactor, LoraMagnitude, LoraUpdate};

use crate::embedding::bundled;
use crate::{Checkpoint, CheckpointKind, Embedding, ForeignError};
use adapter_config::AdapterConfigs;
use address::Address;
use keys::split;
use parts::Parts;

/// A low-rank adaptation (Hu et al. 2021) or one of its relatives: updates to the weights of a model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Lora {
    /// The file.
    pub name: String,
    /// The updates, each of one parameter.
    pub layers: Vec<LoraLayer>,
    /// Textual inversions that were trained with it and lie in its file (`bundle_emb.NAME...`).
    pub embeddings: Vec<Embedding>,
    /// What in the file has no effect, in words.
    pub notes: Vec<String>,
}

/// The update of one parameter. Its merged value is `W + scale * update`, with a magnitude that of
/// [`LoraMagnitude`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoraLayer {
    /// The network it belongs to.
    pub network: LoraNetwork,
    /// The path of the module within the network in diffusers' names, with `_` for `.`: kohya's files do not
    /// tell the two apart. A U-Net's may be in the original layout; see [`LoraLayer::in_diffusers_names`].
    pub module: String,
    /// Which of the module's parameters.
    pub parameter: LoraParameter,
    /// What is added.
    pub update: LoraUpdate,
    /// The factor of the update: for those of low rank alpha over rank.
    pub scale: f64,
    /// The norms of the merged weight, of a DoRA.
    pub magnitude: Option<LoraMagnitude>,
}

/// A network that a LoRA changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoraNetwork {
    /// The U-Net.
    UNet,
    /// The text encoder.
    TextEncoder,
}

/// A parameter of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoraParameter {
    /// Its weight; of a normalisation its factor.
    Weight,
    /// Its bias.
    Bias,
}

impl LoraParameter {
    /// What ends its name in PyTorch.
    pub fn name(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::Bias => "bias",
        }
    }
}

impl LoraLayer {
    /// What kind of adapter it is of: `LoRA` (LoCon too), `LoHa`, `LoKr`, `difference`, `bias`; with a magnitude `DoRA` of it.
    pub fn kind(&self) -> &'static str {
        match (&self.update, &self.magnitude, self.parameter) {
            (.., LoraParameter::Bias) => "bias",
            (LoraUpdate::Matrix(LoraFactor::Product { .. }), None, _) => "LoRA",
            (LoraUpdate::Matrix(LoraFactor::Product { .. }), Some(_), _) => "DoRA",
            (LoraUpdate::Matrix(LoraFactor::Whole(_)), None, _) => "difference",
            (LoraUpdate::Matrix(LoraFactor::Whole(_)), Some(_), _) => "DoRA of a difference",
            (LoraUpdate::Hadamard(..), None, _) => "LoHa",
            (LoraUpdate::Hadamard(..), Some(_), _) => "DoRA of LoHa",
            (LoraUpdate::Kronecker(..), None, _) => "LoKr",
            (LoraUpdate::Kronecker(..), Some(_), _) => "DoRA of LoKr",
        }
    }

    /// The module in diffusers' names where its own are those of the original layout (`input_blocks_1_1_...`), of a
    /// U-Net with `layers_per_block` layers in a block; `None` where they are not.
    pub fn in_diffusers_names(&self, layers_per_block: usize) -> Option<String> {
        match self.network {
            LoraNetwork::UNet => ldm::diffusers_module(&self.module, layers_per_block),
            LoraNetwork::TextEncoder => None,
        }
    }
}

impl Lora {
    /// Reads an adapter: LoRA, LoCon, LoHa, LoKr, full and norm differences, each with DoRA's magnitudes or without, for the U-Net
    /// and the text encoder; with the names of kohya's sd-scripts, LyCORIS, diffusers (of all ages), PEFT, OneTrainer or
    /// ComfyUI, of modules in diffusers' layout or the original one.
    ///
    /// Beside PEFT's `adapter_model.*` its `adapter_config.json` is read, which has the alpha. A path may be a folder, see
    /// [`Lora::files`].
    ///
    /// # Errors
    ///
    /// When the file cannot be read, holds something else, is not whole, or holds a tensor of a kind that is not applied.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LoraError> {
        let LoraFiles { weights, config } = Self::files(path)?;
        let checkpoint = Checkpoint::open(&weights)?;
        let config = config.map(|config| AdapterConfigs::open(&weights, &config)).transpose()?;
        let has_alpha = config.is_some() || has_alpha(&checkpoint);
        let mut lora = Self::with_configs(&checkpoint, config)?;
        if !has_alpha && weights.file_stem().is_some_and(|stem| stem == "adapter_model") {
            lora.notes.push(format!(
                "'{}' lies without PEFT's adapter_config.json, which has its alpha: it is taken to be the rank",
                weights.display()
            ));
        }
        Ok(lora)
    }

    /// Takes the adapter out of an opened file; see [`Lora::open`].
    ///
    /// # Errors
    ///
    /// When the checkpoint holds something else, is not whole, or holds a tensor of a kind that is not applied.
    pub fn read(checkpoint: &Checkpoint) -> Result<Self, LoraError> {
        Self::with_configs(checkpoint, None)
    }

    fn with_configs(checkpoint: &Checkpoint, configs: Option<AdapterConfigs>) -> Result<Self, LoraError> {
        let name = checkpoint.name();
        CheckpointKind::Lora.check(checkpoint, "a LoRA")?;
        let (embeddings, rest) = bundled(checkpoint)?;
        let mut modules: BTreeMap<&str, Parts<'_>> = BTreeMap::new();
        for (key, tensor) in rest {
            let unsupported = |what| LoraError::Unsupported { name: name.to_owned(), key: key.clone(), what };
            let (module, role) = split(key).map_err(unsupported)?;
            if modules.entry(module).or_default().insert(role, (key, tensor)).is_some() {
                return Err(LoraError::Damaged { name: name.to_owned(), reason: format!("'{key}' is there twice") });
            }
        }
        let configs = match configs {
            Some(configs) => configs,
            None => AdapterConfigs::of(checkpoint)?,
        };
        let mut lora = Self { name: name.to_owned(), layers: Vec::new(), embeddings, notes: Vec::new() };
        for (key, parts) in modules {
            let address = Address::of(key).map_err(|found| {
                let (name, expected) = (name.to_owned(), "a LoRA for Stable Diffusion 1 or 2");
                ForeignError { name, found, expected, advice: "" }
            })?;
            let layers = parts.layers(name, key, &address, checkpoint, &configs)?;
            if layers.is_empty() {
                lora.notes.push(format!("'{key}' in '{name}' has a factor but no update, and changes nothing"));
            }
            lora.layers.extend(layers);
        }
        Ok(lora)
    }
}

/// Whether a file says the alphas of its layers itself.
fn has_alpha(checkpoint: &Checkpoint) -> bool {
    let names = checkpoint.tensors().keys().chain(checkpoint.metadata().keys());
    names.into_iter().any(|name| name.rsplit('.').next() == Some("alpha") || name == adapter_config::IN_HEADER)
}

#[cfg(test)]
mod tests;
