use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::StoredTensor;

/// Named tensors, from one file or several.
#[derive(Clone, Default)]
pub struct Checkpoint {
    name: String,
    files: Vec<PathBuf>,
    tensors: BTreeMap<String, StoredTensor>,
    metadata: BTreeMap<String, String>,
}

impl Checkpoint {
    pub(crate) fn new(name: impl Into<String>, tensors: BTreeMap<String, StoredTensor>) -> Self {
        Self { name: name.into(), files: Vec::new(), tensors, metadata: BTreeMap::new() }
    }

    pub(crate) fn with_files(mut self, files: Vec<PathBuf>) -> Self {
        self.files = files;
        self
    }

    pub(crate) fn with_metadata(mut self, metadata: BTreeMap<String, String>) -> Self {
        self.metadata = metadata;
        self
    }

    /// What errors call it: the file, or the name given to the bytes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The files that the tensors are in; none for bytes in memory.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The tensors by name, in the order of the names.
    pub fn tensors(&self) -> &BTreeMap<String, StoredTensor> {
        &self.tensors
    }

    /// The tensor of a name.
    pub fn get(&self, name: &str) -> Option<&StoredTensor> {
        self.tensors.get(name)
    }

    /// The same where a model ties two of its parameters: files hold both of them or either one. If one of the names is
    /// missing, it names the other's tensor.
    #[must_use]
    pub fn with_tied(mut self, one: &str, other: &str) -> Self {
        for (there, missing) in [(one, other), (other, one)] {
            if let (Some(tensor), false) = (self.tensors.get(there), self.tensors.contains_key(missing)) {
                let tensor = tensor.clone();
                self.tensors.insert(missing.to_owned(), tensor);
            }
        }
        self
    }

    /// Whether some tensor's name begins with `prefix`.
    pub fn has_prefix(&self, prefix: &str) -> bool {
        let first = self.tensors.range(prefix.to_owned()..).next();
        first.is_some_and(|(name, _)| name.starts_with(prefix))
    }

    /// The same without the tensors whose names begin with `prefix`.
    #[must_use]
    pub fn without(mut self, prefix: &str) -> Self {
        self.tensors.retain(|name, _| !name.starts_with(prefix));
        self
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ElementType;
    use crate::tensor::Source;

    /// Names, and the one byte of their tensors.
    type Named<'a> = &'a [(&'a str, u8)];

    fn checkpoint(names: Named<'_>) -> Checkpoint {
        let tensor = |byte: u8| StoredTensor::new(ElementType::U8, vec![1], Source::Memory(Bytes::from(vec![byte])));
        Checkpoint::new("test", names.iter().map(|(name, byte)| ((*name).to_owned(), tensor(*byte))).collect())
    }

    #[test]
    fn tensors_of_a_prefix_are_left_out() {
        let left = checkpoint(&[("a", 1), ("b.a", 2), ("b.c", 3), ("bc", 4)]).without("b.");
        assert_eq!(left.tensors().keys().collect::<Vec<_>>(), ["a", "bc"]);
    }

    #[test]
    fn a_tied_tensor_has_both_names_and_keeps_its_own() {
        let cases: [(Named<'_>, Named<'_>); 4] = [
            (&[("a", 1)], &[("a", 1), ("b", 1)]),
            (&[("b", 2)], &[("a", 2), ("b", 2)]),
            (&[("a", 1), ("b", 2)], &[("a", 1), ("b", 2)]),
            (&[("c", 3)], &[("c", 3)]),
        ];
        for (names, expected) in cases {
            let tied = checkpoint(names).with_tied("a", "b");
            let found: Vec<_> =
                tied.tensors().iter().map(|(name, tensor)| (name.as_str(), tensor.bytes()[0])).collect();
            assert_eq!(found, expected);
        }
    }
}
