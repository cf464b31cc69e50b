//! Where the layers of an adapter belong in a module.

use std::collections::BTreeSet;

use ae_checkpoint::{LoraLayer, LoraParameter};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::module_path::ModulePath;

/// The parameters of a module.
pub(super) struct Places {
    names: BTreeSet<String>,
    /// Residual blocks of the first block of a U-Net, by which the original layout counts.
    layers_per_block: usize,
}

impl Places {
    pub(super) fn of(module: &impl Module) -> Self {
        let mut collector = Collector::default();
        module.visit(&mut collector);
        let names = collector.names;
        let has_resnet = |layer: &usize| {
            let start = format!("down_blocks_0_resnets_{layer}_");
            names.range(start.clone()..).next().is_some_and(|name| name.starts_with(&start))
        };
        let layers_per_block = (0..names.len()).take_while(has_resnet).count();
        Self { names, layers_per_block }
    }

    /// The parameter of a layer, as [`flat`] names it.
    pub(super) fn find(&self, layer: &LoraLayer) -> Option<String> {
        let place = |module: &str| Some(name(module, layer.parameter)).filter(|name| self.names.contains(name));
        place(&layer.module).or_else(|| place(&layer.in_diffusers_names(self.layers_per_block)?))
    }
}

/// The name of a parameter, with `_` for `.`; that of a weight is its module's.
pub(crate) fn flat(key: &str) -> String {
    key.strip_suffix(".weight").unwrap_or(key).replace('.', "_")
}

/// The name of a module's parameter.
pub(super) fn name(module: &str, parameter: LoraParameter) -> String {
    match parameter {
        LoraParameter::Weight => module.to_owned(),
        LoraParameter::Bias => format!("{module}_{}", parameter.name()),
    }
}

#[derive(Default)]
struct Collector {
    path: ModulePath,
    names: BTreeSet<String>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _: &str, container_type: &str) {
        self.path.exit(container_type);
    }

    fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
        self.names.insert(flat(&self.path.key()));
    }
}
