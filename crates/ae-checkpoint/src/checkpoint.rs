use std::collections::BTreeMap;
use std::fmt;

use crate::StoredTensor;

/// Named tensors, from one file or several.
#[derive(Clone, Default)]
pub struct Checkpoint {
    name: String,
    tensors: BTreeMap<String, StoredTensor>,
    metadata: BTreeMap<String, String>,
}

impl Checkpoint {
    pub(crate) fn new(name: impl Into<String>, tensors: BTreeMap<String, StoredTensor>) -> Self {
        Self { name: name.into(), tensors, metadata: BTreeMap::new() }
    }

    pub(crate) fn with_metadata(mut self, metadata: BTreeMap<String, String>) -> Self {
        self.metadata = metadata;
        self
    }

    /// What errors call it: the file, or the name given to the bytes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tensors by name, in the order of the names.
    pub fn tensors(&self) -> &BTreeMap<String, StoredTensor> {
        &self.tensors
    }

    /// The tensor of a name.
    pub fn get(&self, name: &str) -> Option<&StoredTensor> {
        self.tensors.get(name)
    }

    /// Whether some tensor's name begins with `prefix`.
    pub fn has_prefix(&self, prefix: &str) -> bool {
        let first = self.tensors.range(prefix.to_owned()..).next();
        first.is_some_and(|(name, _)| name.starts_with(prefix))
    }

    /// How many numbers, counted from `first`, stand behind `prefix` and a dot behind them: with
    /// `down_blocks.0.` to `down_blocks.3.` there are four behind `down_blocks.` from 0.
    pub(crate) fn count_from(&self, first: usize, prefix: &str) -> usize {
        let numbers = first..first.saturating_add(self.tensors.len());
        numbers.take_while(|number| self.has_prefix(&format!("{prefix}{number}."))).count()
    }

    /// The texts beside the tensors: the header's of a safetensors file; of a PyTorch file texts and whole numbers, such
    /// as `global_step` of a training checkpoint.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checkpoint('{}', {} tensors)", self.name, self.tensors.len())
    }
}
