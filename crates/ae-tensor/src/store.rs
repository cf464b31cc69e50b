//! The way back from a module to a checkpoint.

use ae_checkpoint::{Checkpoint, ElementType, StoredTensor};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Tensor, bf16, f16};

use crate::module_path::ModulePath;
use crate::quantized::floats;
use crate::{FloatType, read};

/// The parameters of a module as [`load_weights`](crate::load_weights) reads them, bit by bit: in PyTorch's layout, in `dtype` but for
/// those of normalisations, under `prefix` and their names. Quantised weights are the numbers that they stand for. Each is copied from its device when its bytes are asked for; one that cannot be has none.
pub fn checkpoint_of(module: &impl Module, name: &str, prefix: &str, dtype: FloatType) -> Checkpoint {
    let mut collector =
        Collector { prefix: prefix.to_owned(), dtype, path: ModulePath::default(), tensors: Vec::new() };
    module.visit(&mut collector);
    Checkpoint::of(name, collector.tensors)
}

struct Collector {
    prefix: String,
    dtype: FloatType,
    path: ModulePath,
    tensors: Vec<(String, StoredTensor)>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _: &str, container_type: &str) {
        self.path.exit(container_type);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let (tensor, is_transposed) = (param.val(), self.path.is_linear_weight());
        let mut shape = tensor.dims().to_vec();
        if is_transposed {
            shape.reverse();
        }
        let dtype = if self.path.is_norm() { FloatType::F32 } else { self.dtype };
        let element = match dtype {
            FloatType::F32 | FloatType::Q8 => ElementType::F32,
            FloatType::F16 => ElementType::F16,
            FloatType::BF16 => ElementType::BF16,
        };
        let bytes = move || {
            let tensor = floats(tensor.clone());
            let tensor = if is_transposed { tensor.transpose() } else { tensor };
            let values = read(tensor).unwrap_or_default().into_iter();
            match dtype {
                FloatType::F32 | FloatType::Q8 => values.flat_map(f32::to_le_bytes).collect(),
                FloatType::F16 => values.flat_map(|value| f16::from_f32(value).to_le_bytes()).collect(),
                FloatType::BF16 => values.flat_map(|value| bf16::from_f32(value).to_le_bytes()).collect(),
            }
        };
        let key = format!("{}{}", self.prefix, self.path.key());
        self.tensors.push((key, StoredTensor::computed(element, shape, bytes)));
    }
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::nn::conv::{Conv2d, Conv2dConfig};
    use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig};
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::{KeyRules, load_weights};

    #[derive(Module, Debug)]
    struct Model {
        proj: Linear,
        conv: Conv2d,
        norm: GroupNorm,
    }

    fn model() -> Model {
        let device = Device::flex();
        Model {
            proj: LinearConfig::new(4, 6).init(&device),
            conv: Conv2dConfig::new([2, 4], [1, 3]).init(&device),
            norm: GroupNormConfig::new(2, 4).init(&device),
        }
    }

    fn bytes(checkpoint: &Checkpoint) -> Vec<(String, ElementType, Vec<usize>, Vec<u8>)> {
        let all = checkpoint.tensors().iter();
        all.map(|(key, t)| (key.clone(), t.element(), t.shape().to_vec(), t.bytes().to_vec())).collect()
    }

    #[test]
    fn a_module_is_loaded_from_its_own_checkpoint_bit_by_bit() {
        const RULES: KeyRules = KeyRules { prefix: "part.", renames: &[], ignored: &[] };
        for dtype in [FloatType::F32, FloatType::F16, FloatType::BF16] {
            let mut first = model();
            load_weights(
                &mut first,
                &checkpoint_of(&model(), "random", "", FloatType::F32),
                &KeyRules::default(),
                dtype,
            )
            .unwrap();
            let stored = checkpoint_of(&first, "first", "part.", dtype);
            let mut second = model();
            load_weights(&mut second, &stored, &RULES, dtype).unwrap();
            let all = bytes(&stored);
            assert_eq!(bytes(&checkpoint_of(&second, "second", "part.", dtype)), all, "{dtype}");
            let names: Vec<_> = all.iter().map(|(key, ..)| key.as_str()).collect();
            assert_eq!(
                names,
                [
                    "part.conv.bias",
                    "part.conv.weight",
                    "part.norm.bias",
                    "part.norm.weight",
                    "part.proj.bias",
                    "part.proj.weight"
                ]
            );
            // Normalisations stay in single precision, as they are computed.
            assert_eq!(all[3].1, ElementType::F32);
            assert_eq!(all[5].2, [6, 4]);
            assert!(all[5].3.iter().any(|byte| *byte != 0));
        }
    }

    #[test]
    fn half_weights_of_a_file_stay_as_they_are_where_single_precision_is_asked_for() {
        for (dtype, kept) in [(FloatType::F16, DType::F16), (FloatType::BF16, DType::BF16)] {
            let file = checkpoint_of(&model(), "random", "", dtype);
            let mut loaded = model();
            load_weights(&mut loaded, &file, &KeyRules::default(), FloatType::F32).unwrap();
            assert_eq!([loaded.proj.weight.dtype(), loaded.conv.weight.dtype()], [kept; 2]);
            let others = [loaded.proj.bias.as_ref().unwrap().dtype(), loaded.norm.gamma.as_ref().unwrap().dtype()];
            assert_eq!(others, [DType::F32; 2]);
            // In its own type it is the file again.
            assert_eq!(bytes(&checkpoint_of(&loaded, "again", "", dtype)), bytes(&file));
        }
    }
}
