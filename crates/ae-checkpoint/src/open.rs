use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use safetensors::SafeTensors;
use safetensors::tensor::Metadata;

use crate::foreign::Format;
use crate::mapping::Mapping;
use crate::pytorch::{self, Failure};
use crate::tensor::Source;
use crate::{Checkpoint, ForeignError, OpenError, StoredTensor};

impl Checkpoint {
    /// Opens a safetensors or PyTorch file (`.bin`, `.ckpt`, `.pt`); which of them is seen from the content.
    ///
    /// The file is memory-mapped. A pickle in it is read as data: what it would call or construct, other than
    /// tensors and dictionaries, is a name without effect. Of a training checkpoint the `state_dict` is taken.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is no such file or not all of one. See [`OpenError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let (file, format) = identify(path).map_err(|source| OpenError::Io { name: name.clone(), source })?;
        let checkpoint = match format {
            Format::Safetensors => {
                let mapping = Mapping::open(&file).map_err(|source| OpenError::Io { name: name.clone(), source })?;
                from_safetensors(name, mapping.as_ref(), |range| Source::Mapped { mapping: mapping.clone(), range })
            }
            Format::Pytorch => {
                let mapping = Mapping::open(&file).map_err(|source| OpenError::Io { name: name.clone(), source })?;
                pytorch::open(name.clone(), &mapping).map_err(|failure| match failure {
                    Failure::Malformed(reason) => OpenError::Malformed { name, format: "PyTorch", reason },
                    Failure::Costly => OpenError::Costly { name },
                    Failure::Object(object) => OpenError::Object { name, object },
                })
            }
            Format::Foreign { found, advice } => {
                let expected = "weights in a safetensors or PyTorch file";
                Err(ForeignError { name, found, expected, advice }.into())
            }
        }?;
        Ok(checkpoint.with_files(vec![path.to_owned()]))
    }

    /// Reads a safetensors file that is in memory already; `name` is what errors call it.
    ///
    /// # Errors
    ///
    /// When the bytes are no safetensors file or not all of one.
    pub fn from_bytes(name: impl Into<String>, bytes: Cow<'static, [u8]>) -> Result<Self, OpenError> {
        let bytes = match bytes {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        from_safetensors(name.into(), &bytes, |range| Source::Memory(bytes.slice(range)))
    }
}

/// Opens a file and looks at its beginning.
fn identify(path: &Path) -> io::Result<(File, Format)> {
    let mut file = ae_files::open_file(path)?;
    let mut start = Vec::new();
    file.by_ref().take(Format::SEEN).read_to_end(&mut start)?;
    Ok((file, Format::of(&start)))
}

fn from_safetensors(
    name: String,
    bytes: &[u8],
    source: impl Fn(Range<usize>) -> Source,
) -> Result<Checkpoint, OpenError> {
    let (data, header) = match read_header(bytes) {
        Ok(parsed) => parsed,
        Err(reason) => return Err(OpenError::Malformed { name, format: "safetensors", reason }),
    };
    let tensors = header.tensors().into_iter().map(|(key, info)| {
        let (start, end) = info.data_offsets;
        (key, StoredTensor::new(info.dtype, info.shape.clone(), source(data + start..data + end)))
    });
    let metadata = header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok(Checkpoint::new(name, tensors.collect()).with_metadata(metadata))
}

/// The header, and where the data behind it begin. The library checks that they fill the file exactly.
fn read_header(bytes: &[u8]) -> Result<(usize, Metadata), String> {
    /// Bytes of the header's length in front of it.
    const LENGTH: usize = 8;
    if bytes.is_empty() {
        return Err("the file is empty".to_owned());
    }
    let (size, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    Ok((LENGTH + size, header))
}
