use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::Module;
use burn::store::burn_pack::Tensor as PackTensor;
use burn::store::{
    ApplyError, ApplyResult, FloatCastAdapter, KeyRemapper, ModuleAdapter, ModuleContext, ModuleSnapshot,
    PyTorchToBurnAdapter, SafetensorsStore, SafetensorsStoreError, bridge,
};

use crate::FloatType;

/// Where the bytes of a safetensors checkpoint are.
#[derive(Clone)]
pub enum Weights {
    /// A file; it is memory-mapped, and each tensor is copied out once, when it is loaded.
    File(PathBuf),
    /// Bytes already in memory, such as a model compiled into a program.
    Memory {
        /// What to call them in errors.
        name: String,
        /// The content of a safetensors file.
        bytes: Cow<'static, [u8]>,
    },
}

impl Weights {
    /// The name used in errors: the path, or the name given to the bytes.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Memory { name, .. } => name.clone(),
        }
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Weights({})", self.name())
    }
}

/// How the keys of a checkpoint become the parameter paths of a module.
///
/// Modules mirror the names of diffusers and transformers, so that most checkpoints need no rule.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyRules {
    /// Regular expressions and their replacements, applied to every key in this order.
    pub renames: &'static [(&'static str, &'static str)],
    /// Endings of keys that a checkpoint may hold without the module having a place for them.
    pub ignored: &'static [&'static str],
}

/// A checkpoint that does not fill its module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file cannot be opened.
    #[error("cannot read the weights '{name}': {source}")]
    Io {
        /// The file.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes are no safetensors file, or not all of one.
    #[error("'{name}' is not a whole safetensors file ({reason}); it may be truncated: fetch it again")]
    Malformed {
        /// The file.
        name: String,
        /// What the parser said.
        reason: String,
    },
    /// The tensors are not those of the module.
    #[error("'{name}' does not fit the model of its config.json: {report}")]
    Mismatch {
        /// The file.
        name: String,
        /// Which tensors.
        report: MismatchReport,
    },
    /// A tensor holds NaN or infinity.
    #[error(
        "'{name}' holds values that are not finite, in {}; the file is damaged or the training diverged",
        some_of(tensors)
    )]
    NotFinite {
        /// The file.
        name: String,
        /// The tensors concerned.
        tensors: Vec<String>,
    },
}

/// The tensors in which a checkpoint and a module differ, by parameter path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MismatchReport {
    /// Parameters without a tensor.
    pub missing: Vec<String>,
    /// Tensors without a parameter.
    pub unexpected: Vec<String>,
    /// Tensors of another shape or kind, with what was expected.
    pub misshapen: Vec<String>,
}

impl MismatchReport {
    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshapen.is_empty()
    }
}

impl fmt::Display for MismatchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("missing", &self.missing), ("unexpected", &self.unexpected), ("misshapen", &self.misshapen)];
        let mut separator = "";
        for (what, names) in parts.into_iter().filter(|(_, names)| !names.is_empty()) {
            write!(f, "{separator}{} {what}: {}", names.len(), some_of(names))?;
            separator = "; ";
        }
        Ok(())
    }
}

/// The first three of a list of names, and how many more there are.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Fills every parameter of `module` from a safetensors checkpoint in PyTorch's layout.
///
/// Linear weights are transposed, the weight and bias of normalisations become gamma and beta, and
/// floats are cast to `dtype`. Enum variants do not count as parts of a path.
///
/// # Errors
///
/// Strict: a missing, unexpected or misshapen tensor is an error that names it, and so is a value that
/// is not finite. The module is not to be used after an error.
///
/// # Panics
///
/// When a rename rule is no regular expression.
pub fn load_weights<M: Module>(
    module: &mut M,
    weights: &Weights,
    rules: &KeyRules,
    dtype: FloatType,
) -> Result<(), CheckpointError> {
    let not_finite = Arc::default();
    let adapter = PyTorchToBurnAdapter
        .chain(FloatCastAdapter::to(dtype.dtype()))
        .chain(FiniteCheck { found: Arc::clone(&not_finite) });
    let renames = KeyRemapper::from_patterns(rules.renames.to_vec()).expect("rename rules are regular expressions");
    let store = match weights {
        Weights::File(path) => {
            check_readable(path)?;
            SafetensorsStore::from_file(path)
        }
        Weights::Memory { bytes, .. } => SafetensorsStore::from_bytes(Some(bytes.to_vec())),
    };
    // Partial and unvalidated, because the report is judged here and turned into typed errors.
    let mut store =
        store.with_from_adapter(adapter).remap(renames).skip_enum_variants(true).allow_partial(true).validate(false);
    let result = module.load_from(&mut store).map_err(|error| store_error(weights, error))?;

    let report = mismatch(result, rules);
    if !report.is_empty() {
        return Err(CheckpointError::Mismatch { name: weights.name(), report });
    }
    let tensors = not_finite.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if !tensors.is_empty() {
        return Err(CheckpointError::NotFinite { name: weights.name(), tensors });
    }
    Ok(())
}

/// Mapping a folder or an empty file fails with messages that name neither.
fn check_readable(path: &Path) -> Result<(), CheckpointError> {
    let name = || path.display().to_string();
    let metadata = std::fs::metadata(path).map_err(|source| CheckpointError::Io { name: name(), source })?;
    if metadata.is_dir() {
        let source = io::Error::from(io::ErrorKind::IsADirectory);
        return Err(CheckpointError::Io { name: name(), source });
    }
    if metadata.len() == 0 {
        return Err(CheckpointError::Malformed { name: name(), reason: "the file is empty".to_owned() });
    }
    Ok(())
}

fn store_error(weights: &Weights, error: SafetensorsStoreError) -> CheckpointError {
    let name = weights.name();
    match error {
        SafetensorsStoreError::Io(source) => CheckpointError::Io { name, source },
        SafetensorsStoreError::Safetensors(error) => CheckpointError::Malformed { name, reason: error.to_string() },
        other => CheckpointError::Malformed { name, reason: other.to_string() },
    }
}

fn mismatch(result: ApplyResult, rules: &KeyRules) -> MismatchReport {
    let is_ignored = |key: &String| rules.ignored.iter().any(|ending| key.ends_with(ending));
    let misshapen = result.errors.iter().map(|error| match error {
        ApplyError::ShapeMismatch { path, expected, found } => {
            format!("{path} (expected {expected:?}, found {found:?})")
        }
        ApplyError::DTypeMismatch { path, expected, found } => {
            format!("{path} (expected {expected:?} values, found {found:?})")
        }
        ApplyError::AdapterError { path, message } | ApplyError::LoadError { path, message } => {
            format!("{path} ({message})")
        }
    });
    MismatchReport {
        missing: result.missing.into_iter().map(|(path, _)| path).collect(),
        unexpected: result.unused.into_iter().filter(|key| !is_ignored(key)).collect(),
        misshapen: misshapen.collect(),
    }
}

/// Notes the tensors that hold NaN or infinity while they are copied out anyway.
#[derive(Clone, Debug)]
struct FiniteCheck {
    found: Arc<Mutex<Vec<String>>>,
}

impl ModuleAdapter for FiniteCheck {
    fn adapt(&self, tensor: PackTensor, _: ModuleContext<'_>) -> PackTensor {
        if !tensor.dtype.is_float() {
            return tensor;
        }
        let (name, dtype, shape) = (tensor.name.clone(), tensor.dtype, tensor.shape.clone());
        let (key, found) = (name.clone(), Arc::clone(&self.found));
        bridge::map_data(tensor, name, dtype, shape, move |data| {
            let finite = match data.as_slice::<f32>() {
                Ok(values) => values.iter().all(|value| value.is_finite()),
                Err(_) => data.iter::<f32>().all(f32::is_finite),
            };
            if !finite {
                found.lock().unwrap_or_else(PoisonError::into_inner).push(key.clone());
            }
            data
        })
    }

    fn clone_box(&self) -> Box<dyn ModuleAdapter> {
        Box::new(self.clone())
    }
}
