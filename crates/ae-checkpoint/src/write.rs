//! Checkpoints as safetensors files.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::Path;

use safetensors::tensor::{Dtype, View};
use safetensors::{SafeTensorError, serialize_to_file};

use crate::{Checkpoint, StoredTensor};

impl Checkpoint {
    /// Writes a safetensors file as PyTorch's libraries read it. One tensor is in memory at a time.
    ///
    /// # Errors
    ///
    /// What the system says, and by its name a tensor that cannot be read or has not the bytes that its shape takes.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let failed = RefCell::new(None);
        let views = self.tensors().iter().map(|(name, tensor)| (name, Written { name, tensor, failed: &failed }));
        // Without it transformers refuses the file.
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let written = serialize_to_file(views, Some(metadata), path);
        if let Some(error) = failed.into_inner() {
            return Err(error);
        }
        written.map_err(|error| match error {
            SafeTensorError::IoError(error) => error,
            other => io::Error::other(other),
        })
    }
}

struct Written<'a> {
    name: &'a str,
    tensor: &'a StoredTensor,
    /// The first that went wrong: the library has no place for it.
    failed: &'a RefCell<Option<io::Error>>,
}

impl View for Written<'_> {
    fn dtype(&self) -> Dtype {
        self.tensor.element()
    }

    fn shape(&self) -> &[usize] {
        self.tensor.shape()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let read = self.tensor.check_file().map(|()| self.tensor.bytes());
        let expected = self.data_len();
        match read {
            Ok(bytes) if bytes.len() == expected => return Cow::Owned(bytes.to_vec()),
            Ok(bytes) => {
                let reason = format!("'{}' has {} bytes, expected {expected}", self.name, bytes.len());
                self.failed.borrow_mut().get_or_insert(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
            Err(error) => {
                self.failed.borrow_mut().get_or_insert(error);
            }
        }
        Cow::Borrowed(&[])
    }

    fn data_len(&self) -> usize {
        self.tensor.num_elements() * self.tensor.element().bitsize() / 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize], bytes: Vec<u8>) -> StoredTensor {
        StoredTensor::computed(Dtype::F16, shape.to_vec(), move || bytes.clone())
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let tensors = [("b.weight", tensor(&[2, 1], vec![1, 2, 3, 4])), ("a", tensor(&[], vec![5, 6]))];
        Checkpoint::of("made up", tensors.map(|(name, tensor)| (name.to_owned(), tensor))).write(&path).unwrap();
        let read = Checkpoint::open(&path).unwrap();
        assert_eq!(read.metadata()["format"], "pt");
        let found: Vec<_> = read.tensors().iter().map(|(name, t)| (name.as_str(), t.shape(), t.bytes())).collect();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].0, found[0].1, &found[0].2[..]), ("a", &[][..], &[5, 6][..]));
        assert_eq!((found[1].0, found[1].1, &found[1].2[..]), ("b.weight", &[2, 1][..], &[1, 2, 3, 4][..]));
    }

    #[test]
    fn a_tensor_without_its_bytes_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let checkpoint = Checkpoint::of("made up", [("a".to_owned(), tensor(&[4], vec![0; 6]))]);
        assert_eq!(checkpoint.write(&path).unwrap_err().to_string(), "'a' has 6 bytes, expected 8");
        let nowhere = checkpoint.write(&folder.path().join("none").join("x.safetensors"));
        assert_eq!(nowhere.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
