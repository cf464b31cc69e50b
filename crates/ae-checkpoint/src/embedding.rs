use std::io;
use std::path::Path;

use crate::{Checkpoint, CheckpointKind, ForeignError, OpenError, StoredTensor};

/// A textual inversion (Gal et al. 2022): embeddings for a token that the text encoder does not know.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// The token that stands for it in prompts, such as `<cat-toy>`.
    pub token: String,
    /// One embedding per vector, each as wide as the text encoder's hidden states.
    pub vectors: Vec<Vec<f32>>,
}

/// A file that holds no textual inversion.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddingError {
    /// The file cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file holds something else.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// The tensor is no list of embeddings.
    #[error("the embedding in '{name}' has the shape {shape:?}; expected [vectors, width], at most {most} vectors")]
    Shape {
        /// The file.
        name: String,
        /// The tensor's shape.
        shape: Vec<usize>,
        /// The largest number of vectors accepted.
        most: usize,
    },
    /// The tensor cannot be read.
    #[error("cannot read the embedding in '{name}': {source}")]
    Read {
        /// The file.
        name: String,
        /// What went wrong.
        source: io::Error,
    },
}

const EXPECTED: &str = "a textual inversion embedding";

impl Embedding {
    /// More vectors than a prompt has tokens are of no use.
    const MOST_VECTORS: usize = 75;

    /// Reads an embedding in the format of diffusers (one tensor, under the name of its token) or of
    /// AUTOMATIC1111 (`string_to_param` with a `name`, or `emb_params`), as `.safetensors`, `.bin` or `.pt`.
    ///
    /// A file that names no token gives it its own name, without the ending.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or holds something else.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, EmbeddingError> {
        let path = path.as_ref();
        let checkpoint = Checkpoint::open(path)?;
        let name = || checkpoint.name().to_owned();
        CheckpointKind::Embedding.check(&checkpoint, EXPECTED)?;
        let (key, tensor) = if let Some(tensor) = checkpoint.get("string_to_param.*") {
            (checkpoint.metadata().get("name").cloned(), tensor)
        } else if let Some(tensor) = checkpoint.get("emb_params") {
            (None, tensor)
        } else if let Some((key, tensor)) = checkpoint.tensors().iter().next() {
            (Some(key.clone()), tensor)
        } else {
            return Err(ForeignError { name: name(), found: "empty", expected: EXPECTED, advice: "" }.into());
        };
        let vectors = vectors(&checkpoint, tensor)?;
        let stem = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        Ok(Self { token: key.or_else(stem).unwrap_or_else(name), vectors })
    }
}

fn vectors(checkpoint: &Checkpoint, tensor: &StoredTensor) -> Result<Vec<Vec<f32>>, EmbeddingError> {
    let name = || checkpoint.name().to_owned();
    let width = match *tensor.shape() {
        [width] if width > 0 => width,
        [count, width] if width > 0 && (1..=Embedding::MOST_VECTORS).contains(&count) => width,
        ref shape => {
            let (shape, most) = (shape.to_vec(), Embedding::MOST_VECTORS);
            return Err(EmbeddingError::Shape { name: name(), shape, most });
        }
    };
    let values = tensor.to_f32().map_err(|source| EmbeddingError::Read { name: name(), source })?;
    if let Some(value) = values.iter().find(|value| !value.is_finite()) {
        let source = io::Error::new(io::ErrorKind::InvalidData, format!("it holds {value}"));
        return Err(EmbeddingError::Read { name: name(), source });
    }
    Ok(values.chunks(width).map(<[f32]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use safetensors::Dtype;
    use safetensors::tensor::TensorView;

    use super::*;

    fn open(file: &str, key: &str, shape: &[usize], values: &[f32]) -> Result<Embedding, EmbeddingError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file);
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F32, shape.to_vec(), &bytes).unwrap();
        fs::write(&path, safetensors::serialize([(key, view)], None).unwrap()).unwrap();
        Embedding::open(path)
    }

    #[test]
    fn a_tensor_is_named_by_its_key_or_its_file() {
        let single = open("learned_embeds.safetensors", "<toy>", &[2], &[1.0, 2.0]).unwrap();
        assert_eq!(single, Embedding { token: "<toy>".to_owned(), vectors: vec![vec![1.0, 2.0]] });
        let double = open("my-style.safetensors", "emb_params", &[2, 1], &[1.0, 2.0]).unwrap();
        assert_eq!(double, Embedding { token: "my-style".to_owned(), vectors: vec![vec![1.0], vec![2.0]] });
    }

    #[test]
    fn what_is_no_embedding_is_refused() {
        let error =
            |key, shape: &[usize], values: &[f32]| open("x.safetensors", key, shape, values).unwrap_err().to_string();
        assert!(error("a.lora_down.weight", &[1], &[1.0]).contains("is a LoRA; expected a textual inversion"));
        assert!(error("<toy>", &[76, 1], &[0.0; 76]).contains("has the shape [76, 1]"));
        assert!(error("emb_params", &[1, 1, 1], &[0.0]).contains("has the shape [1, 1, 1]"));
        assert!(error("<toy>", &[1], &[f32::NAN]).contains("it holds NaN"));
    }
}
