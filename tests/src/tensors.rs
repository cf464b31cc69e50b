use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};

/// A safetensors file of recorded values.
#[derive(Debug)]
pub struct Tensors {
    name: String,
    bytes: Vec<u8>,
}

impl Tensors {
    /// Reads a file.
    ///
    /// # Panics
    ///
    /// When it is not there.
    pub fn read(path: &Path) -> Self {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name, bytes }
    }

    fn file(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, key: &str) -> bool {
        self.file().tensor(key).is_ok()
    }

    /// The values and the shape of a tensor, converted to f32.
    ///
    /// # Panics
    ///
    /// When there is no such tensor.
    pub fn values(&self, key: &str) -> (Vec<f32>, Vec<usize>) {
        let file = self.file();
        let view = file.tensor(key).unwrap_or_else(|error| panic!("{}: {key}: {error}", self.name));
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Dtype::I64 => data.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes) as f32).collect(),
            other => panic!("{}: {key} is {other:?}", self.name),
        };
        (values, view.shape().to_vec())
    }

    /// A tensor.
    pub fn tensor<const D: usize>(&self, key: &str, device: &Device) -> Tensor<D> {
        let (values, shape) = self.values(key);
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    /// Token ids, one row per prompt.
    #[expect(clippy::cast_sign_loss, reason = "token ids")]
    pub fn ids(&self, key: &str) -> Vec<Vec<u32>> {
        let (values, shape) = self.values(key);
        values.chunks(shape[shape.len() - 1]).map(|row| row.iter().map(|id| *id as u32).collect()).collect()
    }
}
