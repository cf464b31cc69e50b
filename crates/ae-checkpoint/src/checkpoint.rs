use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::{OpenError, StoredTensor};

/// Named tensors, from one file or several.
#[derive(Clone, Default)]
pub struct Checkpoint {
    name: String,
    files: Vec<PathBuf>,
    tensors: BTreeMap<String, StoredTensor>,
    metadata: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Tensors by name; `name` is what errors call them.
    pub fn of(name: impl Into<String>, tensors: impl IntoIterator<Item = (String, StoredTensor)>) -> Self {
        Self::new(name, tensors.into_iter().collect())
    }

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

    /// Gives the pages of mapped files back to the system. Whoever uses the tensors still reads them again, from the system's cache if they
    /// are there.
    pub fn give_back_pages(&self) {
        self.tensors.values().filter(|tensor| tensor.is_mapped()).for_each(|tensor| drop(tensor.bytes()));
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

    /// Refuses weights that mean something only together with scales beside them: `scaled_fp8` and its like of ComfyUI, GPTQ,
    /// bitsandbytes.
    ///
    /// # Errors
    ///
    /// When there is one, by the name of the tensor.
    pub fn check_unscaled(&self) -> Result<(), OpenError> {
        const ENDINGS: [&str; 11] = [
            "scaled_fp8",
            "scale_weight",
            "weight_scale",
            "weight_scale_inv",
            "scale_input",
            "input_scale",
            "comfy_quant",
            "absmax",
            "quant_map",
            "qweight",
            "qzeros",
        ];
        let is_scale = |key: &&String| key.rsplit('.').next().is_some_and(|ending| ENDINGS.contains(&ending));
        match self.tensors.keys().find(is_scale) {
            Some(tensor) => Err(OpenError::Scaled { name: self.name.clone(), tensor: tensor.clone() }),
            None => Ok(()),
        }
    }

    /// The same without what wraps every one of its names: DataParallel's and DeepSpeed's `module.`, torch.compile's `_orig_mod.`.
    #[must_use]
    pub(crate) fn unwrapped(mut self) -> Self {
        let wraps = |tensors: &BTreeMap<String, _>, wrapper: &&str| {
            !tensors.is_empty() && tensors.keys().all(|key| key.starts_with(*wrapper))
        };
        while let Some(wrapper) = ["module.", "_orig_mod."].into_iter().find(|wrapper| wraps(&self.tensors, wrapper)) {
            let tensors = self.tensors.into_iter();
            self.tensors = tensors.map(|(key, tensor)| (key[wrapper.len()..].to_owned(), tensor)).collect();
        }
        self
    }

    /// The texts beside the tensors: the header's of a safetensors file; of a PyTorch file texts and numbers, such
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
    fn only_what_wraps_every_name_is_taken_off() {
        let cases: [(&[&str], &[&str]); 5] = [
            (&["module.a", "module.b.c"], &["a", "b.c"]),
            (&["module._orig_mod.a", "module._orig_mod.b"], &["a", "b"]),
            (&["_orig_mod.module.a"], &["a"]),
            (&["module.a", "b"], &["b", "module.a"]),
            (&[], &[]),
        ];
        for (names, expected) in cases {
            let named: Vec<_> = names.iter().map(|name| (*name, 0)).collect();
            let unwrapped = checkpoint(&named).unwrapped();
            assert_eq!(unwrapped.tensors().keys().collect::<Vec<_>>(), expected);
        }
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
