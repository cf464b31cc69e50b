use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use safetensors::SafeTensors;
use safetensors::tensor::Metadata;
use serde_json::Value;

use crate::error::Failure;
use crate::foreign::Format;
use crate::mapping::Mapping;
use crate::tensor::Source;
use crate::{Checkpoint, OpenError, StoredTensor, gguf, pytorch};

impl Checkpoint {
    /// Opens a safetensors, PyTorch (`.bin`, `.ckpt`, `.pt`) or GGUF file; which of them is seen from the content. The names
    /// lose what wraps all of them: DataParallel's and DeepSpeed's `module.`, torch.compile's `_orig_mod.`.
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
        let (file, format) = identify(path).map_err(|cause| OpenError::Io { name: name.clone(), cause })?;
        let mapped = || Mapping::open(&file).map_err(|cause| OpenError::Io { name: name.clone(), cause });
        let checkpoint = match format {
            Format::Safetensors => {
                let mapping = mapped()?;
                let source = |range| Source::Mapped { mapping: mapping.clone(), range };
                from_safetensors(name.clone(), mapping.as_ref(), source)?
            }
            Format::Pytorch => {
                pytorch::open(name.clone(), &mapped()?).map_err(|failure| failure.of(name.clone(), "PyTorch"))?
            }
            Format::Gguf => gguf::open(name.clone(), &mapped()?).map_err(|failure| failure.of(name.clone(), "GGUF"))?,
            Format::Foreign { found, advice } => return Err(Failure::Foreign(found, advice).of(name, "")),
        };
        Ok(checkpoint.unwrapped().with_files(vec![path.to_owned()]))
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
    let (data, header) = read_header(bytes).map_err(|failure| failure.of(name.clone(), "safetensors"))?;
    let tensors = header.tensors().into_iter().map(|(key, info)| {
        let (start, end) = info.data_offsets;
        (key, StoredTensor::new(info.dtype, info.shape.clone(), source(data + start..data + end)))
    });
    let metadata = header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok(Checkpoint::new(name, tensors.collect()).with_metadata(metadata))
}

/// Bytes of the header's length in front of it.
const LENGTH: usize = 8;

/// The header, and where the data behind it begin. The library checks that they fill the file exactly.
fn read_header(bytes: &[u8]) -> Result<(usize, Metadata), Failure> {
    let (size, header) = SafeTensors::read_metadata(bytes).map_err(|error| diagnose(bytes, error.to_string()))?;
    Ok((LENGTH + size, header))
}

/// What is wrong with a file that the library refuses with `reason`, which does not tell a short one from others.
fn diagnose(bytes: &[u8], reason: String) -> Failure {
    /// Above the header of any model; a larger one is not looked into.
    const LARGEST: usize = 16 << 20;
    let Some(length) = bytes.first_chunk::<LENGTH>() else {
        return Failure::Truncated(match bytes.len() {
            0 => "the file is empty".to_owned(),
            count => format!("it has {count} bytes"),
        });
    };
    let Ok(length) = usize::try_from(u64::from_le_bytes(*length)) else { return reason.into() };
    let rest = &bytes[LENGTH..];
    let Some(header) = rest.get(..length).filter(|_| length <= LARGEST) else {
        let is_header = length <= LARGEST && rest.first().is_none_or(|byte| *byte == b'{');
        let missing = format!("its header has {length} bytes, of which {} are there", rest.len());
        return if is_header { Failure::Truncated(missing) } else { reason.into() };
    };
    let Ok(Value::Object(header)) = serde_json::from_slice(header) else { return reason.into() };
    match header.get("__metadata__") {
        None => {}
        Some(Value::Object(texts)) => {
            if let Some((key, value)) = texts.iter().find(|(_, value)| !value.is_string()) {
                let value: String = value.to_string().chars().take(40).collect();
                return format!(
                    "'{key}' in its __metadata__ is {value}, and only texts may be there; save it as a text"
                )
                .into();
            }
        }
        Some(_) => return "its __metadata__ is no set of texts; save it without".into(),
    }
    let end = |info: &Value| info.get("data_offsets")?.get(1)?.as_u64();
    let end = header.values().filter_map(end).max().unwrap_or(0);
    let expected = u64::try_from(LENGTH + length).unwrap_or(u64::MAX).saturating_add(end);
    let found = bytes.len() as u64;
    match found.checked_sub(expected) {
        None => Failure::Truncated(format!("it has {found} of {expected} bytes")),
        Some(0) => reason.into(),
        Some(more) => {
            format!("{more} bytes follow its last tensor; cut the file to {expected} bytes, or save it anew").into()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    const HEADER: &str = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;

    #[test]
    fn only_a_short_file_is_to_be_fetched_again() {
        let whole = file(HEADER, &[0; 4]);
        let error = |bytes: &[u8]| Checkpoint::from_bytes("x", bytes.to_vec().into()).unwrap_err().to_string();
        for length in [0, 1, 7, 8, 20, whole.len() - 1] {
            let error = error(&whole[..length]);
            assert!(error.contains("not a whole safetensors file, it is truncated"), "{length}: {error}");
            assert!(error.ends_with("fetch it again"), "{length}: {error}");
        }
        let with =
            |metadata: &str| file(&HEADER.replacen('{', &format!(r#"{{"__metadata__":{metadata},"#), 1), &[0; 4]);
        for (bytes, named) in [
            ([whole.as_slice(), b"123"].concat(), "3 bytes follow its last tensor; cut the file to"),
            ([whole.as_slice(), &[0; 4096]].concat(), "4096 bytes follow its last tensor"),
            (with(r#"{"step": 3}"#), "'step' in its __metadata__ is 3, and only texts"),
            (with(r#"{"a": "b", "loss": 0.5}"#), "'loss' in its __metadata__ is 0.5"),
            (with(r#"{"tags": ["a"]}"#), "'tags' in its __metadata__ is [\"a\"]"),
            (with("[]"), "its __metadata__ is no set of texts"),
            (file(&HEADER.replace("F32", "F4_X"), &[0; 4]), "F4_X"),
            (file(&HEADER.replace("[1]", "[2]"), &[0; 4]), "cannot be read as a safetensors file"),
            (file("{]", &[0; 4]), "cannot be read as a safetensors file"),
            (vec![b'x'; 4096], "cannot be read as a safetensors file"),
        ] {
            let error = error(&bytes);
            assert!(error.contains(named) && !error.contains("fetch"), "{error}");
        }
        assert!(Checkpoint::from_bytes("x", with(r#"{"step": "3"}"#).into()).is_ok());
    }

    #[test]
    fn wrapped_names_are_unwrapped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        fs::write(&path, file(&HEADER.replace("\"a\"", "\"module.a.b\""), &[0; 4])).unwrap();
        assert!(Checkpoint::open(path).unwrap().get("a.b").is_some());
    }
}
