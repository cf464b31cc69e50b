use std::collections::BTreeMap;
use std::io;

use ae_checkpoint::{LoraLayer, StoredTensor};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::load::some_of;
use crate::module_path::ModulePath;

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
    #[error("the factors of '{module}' cannot be read: {source}")]
    Read {
        /// The layer.
        module: String,
        /// What went wrong.
        source: io::Error,
    },
    /// A factor holds NaN or infinity.
    #[error("the factors of '{module}' hold values that are not finite")]
    NotFinite {
        /// The layer.
        module: String,
    },
}

/// Adds `strength` times the updates to the weights they belong to.
///
/// The product of the factors is formed in single precision and rounded once, with the sum, to the type of
/// the weights.
///
/// # Errors
///
/// When a layer has no place in the module or another shape. The module is not to be used after an error.
pub fn apply_lora<M: Module>(
    module: &mut M,
    layers: impl IntoIterator<Item = LoraLayer>,
    strength: f64,
) -> Result<(), LoraMismatch> {
    let layers = layers.into_iter().map(|layer| (layer.module.clone(), layer)).collect();
    let mut merger = Merger { layers, strength, path: ModulePath::default(), misshapen: Vec::new(), failed: None };
    *module = module.clone().map(&mut merger);
    let Merger { layers: unused, misshapen, failed, .. } = merger;
    if let Some(error) = failed {
        return Err(error);
    }
    if !unused.is_empty() {
        return Err(LoraMismatch::Unknown { modules: unused.into_keys().collect() });
    }
    if !misshapen.is_empty() {
        return Err(LoraMismatch::Shape { modules: misshapen });
    }
    Ok(())
}

/// Goes through a module and updates the weights of its layers.
struct Merger {
    /// Those that no layer has taken yet.
    layers: BTreeMap<String, LoraLayer>,
    strength: f64,
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
        let key = self.path.key();
        let layer = key.strip_suffix(".weight").and_then(|module| self.layers.remove(&module.replace('.', "_")));
        let Some(layer) = layer else { return param };
        let weight = param.val();
        let (dtype, device) = (weight.dtype(), weight.device());
        match product(&layer, &device) {
            Ok(update) => {
                let update = if self.path.is_linear_weight() { update.transpose() } else { update };
                // A 1x1 convolution may have the factors of a linear layer, and the other way round.
                if update.shape().num_elements() != weight.shape().num_elements()
                    || update.dims()[0] != weight.dims()[0]
                {
                    let (found, expected) = (update.dims(), weight.dims());
                    self.misshapen.push(format!("{} (expected {expected:?}, found {found:?})", layer.module));
                    return param;
                }
                let update = update.reshape(weight.shape()) * (self.strength * layer.scale);
                let merged = (weight.cast(DType::F32) + update).cast(dtype);
                param.map(|_| merged)
            }
            Err(error) => {
                self.failed.get_or_insert(error);
                param
            }
        }
    }
}

/// The product of the factors: `[output, input * rows * cols]`.
fn product(layer: &LoraLayer, device: &Device) -> Result<Tensor<2>, LoraMismatch> {
    let factor = |stored: &StoredTensor, shape: [usize; 2]| {
        let module = || layer.module.clone();
        let values = stored.to_f32().map_err(|source| LoraMismatch::Read { module: module(), source })?;
        if !values.iter().all(|value| value.is_finite()) {
            return Err(LoraMismatch::NotFinite { module: module() });
        }
        Ok(Tensor::<2>::from_data(TensorData::new(values, shape), device))
    };
    let rank = layer.down.shape()[0];
    let output = layer.up.shape()[0];
    let up = factor(&layer.up, [output, rank])?;
    let down = factor(&layer.down, [rank, layer.down.num_elements() / rank])?;
    let Some(mid) = &layer.mid else { return Ok(up.matmul(down)) };

    // LoCon: sum over a and b of up[o, a] mid[a, b, kernel] down[b, i], as [o, i, kernel].
    let kernel = mid.num_elements() / (rank * rank);
    let input = down.dims()[1];
    let left = up.matmul(factor(mid, [rank, rank * kernel])?);
    let left: Tensor<2> = left.reshape([output, rank, kernel]).swap_dims(1, 2).reshape([output * kernel, rank]);
    let product: Tensor<3> = left.matmul(down).reshape([output, kernel, input]).swap_dims(1, 2);
    Ok(product.reshape([output, input * kernel]))
}

#[cfg(test)]
mod tests {
    use ae_checkpoint::{Checkpoint, Lora};
    use burn::nn::conv::{Conv2d, Conv2dConfig};
    use burn::nn::{Linear, LinearConfig};
    use safetensors::Dtype;
    use safetensors::tensor::TensorView;

    use super::*;

    #[derive(Module, Debug)]
    struct Model {
        proj: Linear,
        conv: Conv2d,
    }

    fn model() -> Model {
        let device = Device::flex();
        Model {
            proj: LinearConfig::new(3, 2).init(&device),
            conv: Conv2dConfig::new([2, 2], [1, 2]).with_bias(false).init(&device),
        }
    }

    fn layers(tensors: &[(&str, &[usize], &[f32])]) -> Vec<LoraLayer> {
        let bytes: Vec<Vec<u8>> =
            tensors.iter().map(|(.., values)| values.iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
        let views = tensors
            .iter()
            .zip(&bytes)
            .map(|((key, shape, _), bytes)| (*key, TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap()));
        let file = safetensors::serialize(views, None).unwrap();
        Lora::read(&Checkpoint::from_bytes("x", file.into()).unwrap()).unwrap().layers
    }

    fn difference<const D: usize>(after: &Param<Tensor<D>>, before: &Param<Tensor<D>>) -> Vec<f32> {
        let difference = (after.val() - before.val()).into_data().try_into_vec_as::<f32>().unwrap();
        difference.into_iter().map(|value| (value * 1e4).round() / 1e4).collect()
    }

    #[test]
    fn a_linear_weight_gets_the_transposed_product() {
        let layers = layers(&[
            ("lora_unet_proj.lora_down.weight", &[1, 3], &[1.0, 2.0, 3.0]),
            ("lora_unet_proj.lora_up.weight", &[2, 1], &[10.0, 20.0]),
            ("lora_unet_proj.alpha", &[], &[0.5]),
        ]);
        let before = model();
        let mut after = before.clone();
        apply_lora(&mut after, layers, 0.1).unwrap();
        let expected = [0.5, 1.0, 1.0, 2.0, 1.5, 3.0];
        assert_eq!(difference(&after.proj.weight, &before.proj.weight), expected);
    }

    /// ```python
    /// torch.einsum("oa,abhw,bi->oihw", up, mid, down)
    /// ```
    #[test]
    fn a_convolution_may_decompose_its_kernel() {
        let layers = layers(&[
            ("lora_unet_conv.lora_down.weight", &[1, 2, 1, 1], &[1.0, 2.0]),
            ("lora_unet_conv.lora_mid.weight", &[1, 1, 1, 2], &[1.0, 10.0]),
            ("lora_unet_conv.lora_up.weight", &[2, 1, 1, 1], &[1.0, 3.0]),
        ]);
        let before = model();
        let mut after = before.clone();
        apply_lora(&mut after, layers, 1.0).unwrap();
        let expected = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 6.0, 60.0];
        assert_eq!(difference(&after.conv.weight, &before.conv.weight), expected);
    }

    #[test]
    fn a_lora_of_another_model_is_refused() {
        let down: (&str, &[usize], &[f32]) = ("lora_unet_other.lora_down.weight", &[1, 3], &[1.0; 3]);
        let up: (&str, &[usize], &[f32]) = ("lora_unet_other.lora_up.weight", &[2, 1], &[1.0; 2]);
        let error = apply_lora(&mut model(), layers(&[down, up]), 1.0).unwrap_err().to_string();
        assert!(error.starts_with("1 layer(s) have no place in the model (other)"), "{error}");

        let down: (&str, &[usize], &[f32]) = ("lora_unet_proj.lora_down.weight", &[1, 4], &[1.0; 4]);
        let up: (&str, &[usize], &[f32]) = ("lora_unet_proj.lora_up.weight", &[2, 1], &[1.0; 2]);
        let error = apply_lora(&mut model(), layers(&[down, up]), 1.0).unwrap_err().to_string();
        assert!(error.contains("proj (expected [3, 2], found [4, 2])"), "{error}");

        let down: (&str, &[usize], &[f32]) = ("lora_unet_proj.lora_down.weight", &[1, 3], &[f32::NAN; 3]);
        let error = apply_lora(&mut model(), layers(&[down, up]), 1.0).unwrap_err().to_string();
        assert!(error.contains("not finite"), "{error}");
    }
}
