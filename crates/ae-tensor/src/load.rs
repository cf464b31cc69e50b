//! Strict loading: every parameter of a module from a checkpoint, with its shape, and no key left over.
//!
//! burn-store, which comes with burn, was considered. It copies every tensor out of the mapped file and keeps the pages, where this uses
//! what needs no conversion where it lies and gives the pages of the rest back; and it takes weights that are not numbers, which are
//! refused by name here.

mod component;
mod convert;
mod error;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use ae_checkpoint::{Checkpoint, ElementType, StoredTensor};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, bf16, f16};

pub use component::Component;
pub(crate) use error::some_of;
pub use error::{CheckpointError, MismatchReport};

use crate::device::is_cpu;
use crate::lora::place;
use crate::module_path::ModulePath;
use crate::quantized::quantize;
use crate::{BurnFloat, FloatType};

/// How the keys of a checkpoint become the parameter paths of a module.
///
/// Modules mirror the names of diffusers and transformers, so that most checkpoints need no rule.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyRules {
    /// What stands before every key of some checkpoints.
    pub prefix: &'static str,
    /// Parts of keys and their replacements, applied to every key in this order.
    pub renames: &'static [(&'static str, &'static str)],
    /// Endings of keys that a checkpoint may hold without the module having a place for them.
    pub ignored: &'static [&'static str],
}

impl KeyRules {
    fn path(&self, key: &str) -> String {
        let key = key.strip_prefix(self.prefix).unwrap_or(key).to_owned();
        self.renames.iter().fold(key, |key, (from, to)| key.replace(from, to))
    }

    fn ignores(&self, path: &str) -> bool {
        self.ignored.iter().any(|ending| path.ends_with(ending))
    }
}

/// Fills every parameter of `module` from a checkpoint in PyTorch's layout.
///
/// Linear weights are transposed, the weight and bias of normalisations become gamma and beta, and floats
/// are cast to `dtype`, those of normalisations to single precision. Enum variants do not count as parts of
/// a path. Weights of a mapped file are used where they are, as far as they need neither
/// cast nor transposition; everything else is copied, one tensor at a time.
///
/// On the CPU, which computes in single precision, a half `dtype` is what weights are rounded to; those of linear layers and
/// convolutions, and embeddings, are kept in it, and widened as they are read. With single precision, half weights of a file stay as they are: they take
/// half the memory, and the results are the same bit by bit.
///
/// With [`FloatType::Q8`], for the CPU alone, weights of linear layers and convolutions become whole numbers from -127 to 127 with a scale for
/// each output, its largest magnitude by 127; those from or to less than 16 channels and all other parameters are as with single precision.
///
/// # Errors
///
/// Strict: a missing, unexpected or misshapen tensor is an error that names it, and so is a value that
/// is not finite. A tensor of the wrong shape is not read. The module is not to be used after an error.
pub fn load_weights<M: Module>(
    module: &mut M,
    checkpoint: &Checkpoint,
    rules: &KeyRules,
    dtype: FloatType,
) -> Result<(), CheckpointError> {
    fill(module, checkpoint, rules, dtype, None)
}

/// Whether the files of a checkpoint are still as long as they were. A module that [`load_weights`] filled uses their pages: to read what
/// was cut would end the process.
///
/// # Errors
///
/// Names the first tensor whose file is shorter.
pub fn check_files(checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
    checkpoint.tensors().iter().try_for_each(|(tensor, stored)| {
        let (name, tensor) = (checkpoint.name(), tensor.clone());
        stored.check_file().map_err(|cause| CheckpointError::Read { name: name.to_owned(), tensor, cause })
    })
}

/// Reads some parameters of a module again that [`load_weights`] had filled from the same checkpoint: those of `names`, as
/// [`lora_places`](crate::lora_places) gives them. Parameters that have other shapes since then get their own again.
///
/// # Errors
///
/// When a tensor cannot be read, or is not there any more. The module is not to be used after an error.
pub fn restore_weights<M: Module>(
    module: &mut M,
    checkpoint: &Checkpoint,
    rules: &KeyRules,
    dtype: FloatType,
    names: &BTreeSet<String>,
) -> Result<(), CheckpointError> {
    fill(module, checkpoint, rules, dtype, Some(names))
}

/// Fills the parameters of a module, or those of some names.
fn fill<M: Module>(
    module: &mut M,
    checkpoint: &Checkpoint,
    rules: &KeyRules,
    dtype: FloatType,
    only: Option<&BTreeSet<String>>,
) -> Result<(), CheckpointError> {
    checkpoint.check_unscaled()?;
    let tensors = checkpoint.tensors().iter().map(|(key, tensor)| (rules.path(key), tensor)).collect();
    let mut loader = Loader {
        tensors,
        dtype: dtype.unquantized(),
        quantizes: dtype == FloatType::Q8,
        only,
        path: ModulePath::default(),
        report: MismatchReport::default(),
        not_finite: Vec::new(),
        failed: None,
    };
    *module = module.clone().map(&mut loader);

    let Loader { tensors: unused, mut report, not_finite, failed, .. } = loader;
    if only.is_none() {
        report.unexpected = unused.into_keys().filter(|path| !rules.ignores(path)).collect();
    }
    let name = checkpoint.name().to_owned();
    if let Some((tensor, cause)) = failed {
        return Err(CheckpointError::Read { name, tensor, cause });
    }
    if !report.is_empty() {
        return Err(CheckpointError::Mismatch { name, report });
    }
    if !not_finite.is_empty() {
        return Err(CheckpointError::NotFinite { name, tensors: not_finite });
    }
    Ok(())
}

/// Goes through a module and replaces its parameters.
struct Loader<'a> {
    /// Those that no parameter has taken yet.
    tensors: BTreeMap<String, &'a StoredTensor>,
    dtype: FloatType,
    quantizes: bool,
    /// Those to be filled, all by default.
    only: Option<&'a BTreeSet<String>>,
    path: ModulePath,
    report: MismatchReport,
    not_finite: Vec<String>,
    /// The first tensor that could not be read.
    failed: Option<(String, io::Error)>,
}

impl Loader<'_> {
    /// The type that the current parameter is rounded to, and that in which it is kept.
    fn types(&self, stored: &StoredTensor, device: &Device) -> (FloatType, FloatType) {
        let dtype = match (self.dtype, stored.element()) {
            // Nothing is rounded, and it is widened as it is read.
            (FloatType::F32, ElementType::F16) if is_cpu(device) && self.path.is_weight() => FloatType::F16,
            (FloatType::F32, ElementType::BF16) if is_cpu(device) && self.path.is_weight() => FloatType::BF16,
            (dtype, _) => dtype,
        };
        self.path.types(dtype, device)
    }
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _: &str, container_type: &str) {
        self.path.exit(container_type);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let key = self.path.key();
        if self.only.is_some_and(|only| !only.contains(&place(&key))) {
            return param;
        }
        let Some(stored) = self.tensors.remove(&key) else {
            self.report.missing.push(key);
            return param;
        };
        let is_transposed = self.path.is_linear_weight();
        let mut expected = param.lazy_shape().to_vec();
        if is_transposed {
            expected.reverse();
        }
        if stored.shape() != expected && self.only.is_none() {
            self.report.misshapen.push(format!("{key} (expected {expected:?}, found {:?})", stored.shape()));
            return param;
        }
        if !stored.is_float() {
            let found = stored.element();
            self.report.misshapen.push(format!("{key} (expected floating-point values, found {found})"));
            return param;
        }
        let (id, device) = (param.id, param.lazy_device());
        let is_quantized = self.quantizes && self.path.is_quantized(stored.shape());
        let (rounded, kept) = if is_quantized { (FloatType::F32, FloatType::F32) } else { self.types(stored, &device) };
        let data = match convert::tensor_data(stored, rounded, is_transposed) {
            Ok(data) => data,
            Err(error) => {
                self.failed.get_or_insert((key, error));
                return param;
            }
        };
        let is_finite = match rounded {
            FloatType::F32 | FloatType::Q8 => {
                data.as_slice::<f32>().is_ok_and(|all| all.iter().all(|value| value.is_finite()))
            }
            FloatType::F16 => data.as_slice::<f16>().is_ok_and(|all| all.iter().all(|value| value.is_finite())),
            FloatType::BF16 => data.as_slice::<bf16>().is_ok_and(|all| all.iter().all(|value| value.is_finite())),
        };
        if !is_finite {
            self.not_finite.push(key);
            return param;
        }
        let tensor: Tensor<D> = if is_quantized {
            quantize(&data, &device)
        } else {
            Tensor::<D>::from_data(data, (&device, rounded.dtype())).cast(kept.dtype())
        };
        param.transform_for_load(tensor, id)
    }
}
