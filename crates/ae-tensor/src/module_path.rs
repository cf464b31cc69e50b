use burn::tensor::Device;

use crate::{BurnFloat, FloatType};

/// Where a [`ModuleMapper`](burn::module::ModuleMapper) is in its module.
#[derive(Default)]
pub(crate) struct ModulePath {
    names: Vec<String>,
    containers: Vec<String>,
}

impl ModulePath {
    /// To be called from `enter_module`.
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        self.containers.push(container.to_owned());
        // The variant of an enum is no part of a path: which one it is depends on the config.
        if !is_enum(container) {
            self.names.push(name.to_owned());
        }
    }

    /// To be called from `exit_module`.
    pub(crate) fn exit(&mut self, container: &str) {
        self.containers.pop();
        if !is_enum(container) {
            self.names.pop();
        }
    }

    /// The layer whose parameter this is, such as `Linear`.
    pub(crate) fn layer(&self) -> &str {
        let layer = self.containers.last().map_or("", String::as_str);
        layer.strip_prefix("Struct:").unwrap_or(layer)
    }

    /// Whether the parameter belongs to a normalisation.
    pub(crate) fn is_norm(&self) -> bool {
        matches!(self.layer(), "LayerNorm" | "GroupNorm")
    }

    /// Whether the parameter is the weight of a linear layer, which burn keeps as `[input, output]` where
    /// PyTorch has `[output, input]`.
    pub(crate) fn is_linear_weight(&self) -> bool {
        self.layer() == "Linear" && self.names.last().is_some_and(|name| name == "weight")
    }

    /// Whether the parameter is the weight of a linear layer or of a convolution, or embeddings: where it is read, its type is looked at.
    pub(crate) fn is_weight(&self) -> bool {
        matches!(self.layer(), "Linear" | "Conv2d" | "Embedding")
            && self.names.last().is_some_and(|name| name == "weight")
    }

    /// Whether a quantised network has the parameter in eight bits: the weight of a linear layer or of a convolution. Those from and to a
    /// few channels, as latents and pixels have, are small, and keep their type.
    pub(crate) fn is_quantized(&self, shape: &[usize]) -> bool {
        const FEWEST: usize = 16;
        self.is_weight() && self.layer() != "Embedding" && shape.iter().take(2).all(|channels| *channels >= FEWEST)
    }

    /// The type that the parameter of a network of type `dtype` is rounded to, and that in which it is kept.
    pub(crate) fn types(&self, dtype: FloatType, device: &Device) -> (FloatType, FloatType) {
        if self.is_norm() {
            return (FloatType::F32, FloatType::F32);
        }
        let dtype = dtype.unquantized();
        (dtype, if self.is_weight() { dtype } else { dtype.computed_on(device) })
    }

    /// The name of the parameter in PyTorch: the path with dots, and burn's gamma and beta as weight and bias.
    pub(crate) fn key(&self) -> String {
        let mut names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        if self.is_norm()
            && let Some(last) = names.last_mut()
        {
            *last = match *last {
                "gamma" => "weight",
                "beta" => "bias",
                other => other,
            };
        }
        names.join(".")
    }
}

fn is_enum(container: &str) -> bool {
    container.starts_with("Enum:")
}
