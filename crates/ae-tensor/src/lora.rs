//! Adapters merged into the weights of a module.

mod merge;
mod places;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use ae_checkpoint::LoraLayer;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use crate::load::some_of;
use crate::module_path::ModulePath;
use crate::{BurnFloat, FloatType};
use merge::{Refusal, merge};
use places::Places;
pub(crate) use places::flat as place;

/// A LoRA that does not fit a module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoraMismatch {
    /// The module has no such layers.
    #[error(
        "{} layer(s) have no place in the model ({}); the LoRA was made for a model of another kind",
        .modules.len(), some_of(modules)
    )]
    Unknown {
        /// The layers, with `_` for `.` in their paths.
        modules: Vec<String>,
    },
    /// Factors whose product has another shape than the weight.
    #[error(
        "{} layer(s) have other sizes than the model's ({}); the LoRA was made for another generation of models",
        .modules.len(), some_of(modules)
    )]
    Shape {
        /// The layers, with both shapes.
        modules: Vec<String>,
    },
    /// A factor cannot be read.
    #[error("the factors of '{module}' cannot be read: {cause}")]
    Read {
        /// The layer.
        module: String,
        /// What went wrong.
        cause: io::Error,
    },
    /// A factor holds NaN or infinity.
    #[error("the factors of '{module}' hold values that are not finite")]
    NotFinite {
        /// The layer.
        module: String,
    },
}

/// Adds `strength` times the updates to the parameters they belong to, one after the other.
///
/// A merged weight is `W + strength * scale * update`, with DoRA's magnitude `merged * magnitude / norm(merged)`, as PEFT merges
/// it. It is formed in single precision and rounded to `dtype`, as [`load_weights`](crate::load_weights) rounds and keeps it. Half weights
/// that it kept as they are, where single precision is asked for, become single precision; so do quantised ones, which
/// [`quantize_weights`](crate::quantize_weights) quantises again.
///
/// # Errors
///
/// When a layer has no place in the module or another shape. The module is not to be used after an error.
pub fn apply_lora<M: Module>(
    module: &mut M,
    layers: impl IntoIterator<Item = LoraLayer>,
    strength: f64,
    dtype: FloatType,
) -> Result<(), LoraMismatch> {
    let places = Places::of(module);
    let (mut layers_at, mut unknown) = (BTreeMap::<String, Vec<LoraLayer>>::new(), Vec::new());
    for layer in layers {
        match places.find(&layer) {
            Some(place) => layers_at.entry(place).or_default().push(layer),
            None => unknown.push(places::name(&layer.module, layer.parameter)),
        }
    }
    if !unknown.is_empty() {
        return Err(LoraMismatch::Unknown { modules: unknown });
    }
    if layers_at.is_empty() {
        return Ok(());
    }
    let mut merger =
        Merger { layers_at, strength, dtype, path: ModulePath::default(), misshapen: Vec::new(), failed: None };
    *module = module.clone().map(&mut merger);
    match merger {
        Merger { failed: Some(error), .. } => Err(error),
        Merger { misshapen, .. } if !misshapen.is_empty() => Err(LoraMismatch::Shape { modules: misshapen }),
        _ => Ok(()),
    }
}

/// The parameters of a module that layers change, for [`restore_weights`](crate::restore_weights); layers without a place in it
/// change none.
pub fn lora_places<'a>(module: &impl Module, layers: impl IntoIterator<Item = &'a LoraLayer>) -> BTreeSet<String> {
    let places = Places::of(module);
    layers.into_iter().filter_map(|layer| places.find(layer)).collect()
}

/// Goes through a module and updates its parameters.
struct Merger {
    /// By the names of [`places::flat`].
    layers_at: BTreeMap<String, Vec<LoraLayer>>,
    strength: f64,
    dtype: FloatType,
    path: ModulePath,
    misshapen: Vec<String>,
    failed: Option<LoraMismatch>,
}

impl ModuleMapper for Merger {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _: &str, container_type: &str) {
        self.path.exit(container_type);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(layers) = self.layers_at.remove(&places::flat(&self.path.key())) else { return param };
        let mut merged = param.val();
        let (rounded, kept) = self.path.types(self.dtype, &merged.device());
        for layer in &layers {
            let module = places::name(&layer.module, layer.parameter);
            match merge(merged.clone(), layer, self.strength, self.path.is_linear_weight()) {
                Ok(tensor) => merged = tensor.cast(rounded.dtype()).cast(kept.dtype()),
                Err(Refusal::Shape { expected, found }) => {
                    self.misshapen.push(format!("{module} (expected {expected:?}, found {found:?})"));
                }
                Err(Refusal::Read(cause)) => {
                    self.failed.get_or_insert(LoraMismatch::Read { module, cause });
                }
                Err(Refusal::NotFinite) => {
                    self.failed.get_or_insert(LoraMismatch::NotFinite { module });
                }
            }
        }
        param.map(|_| merged)
    }
}

#[cfg(test)]
mod tests;
