//! Files of `torch.save`: zip archives since PyTorch 1.6, a row of pickles before.
//!
//! The crate pytorch-reader (0.22.1, by burn's authors) reads these files too, names what it refuses and bounds what hostile pickles
//! cost. It was not taken, because it maps no file: every tensor is read into memory of its own, where here weights are used where they
//! lie. It would bring flate2, zlib-rs and tar, for compressed entries and the archives before PyTorch 0.1.10, of which no Stable
//! Diffusion is one.

mod pickle;
mod tensor;

use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Read};
use std::ops::Range;
use std::sync::Arc;

use zip::{CompressionMethod, ZipArchive};

use crate::error::Failure;
use crate::mapping::Mapping;
use crate::tensor::Source;
use crate::{Checkpoint, StoredTensor};
use pickle::{Heap, Value};
use tensor::Tensor;

/// Where training tools put the weights among the rest of their state.
const STATE_DICT: &str = "state_dict";

/// Where DeepSpeed puts them.
const MODULE: &str = "module";

/// Reads the index of a mapped file; the numbers stay where they are.
///
/// Of a training checkpoint the `state_dict` is taken. Texts and numbers beside the weights become
/// metadata. A tensor alone has the empty name.
pub(crate) fn open(name: String, mapping: &Mapping) -> Result<Checkpoint, Failure> {
    let mut heap = Heap::default();
    let bytes = mapping.as_ref();
    let (root, storages) =
        if bytes.starts_with(b"PK") { open_zip(bytes, &mut heap)? } else { open_legacy(bytes, &mut heap)? };
    let module = || heap.get(root, MODULE).filter(|module| matches!(module, Value::Dict(_)));
    let weights = heap.get(root, STATE_DICT).or_else(module).unwrap_or(root);
    if let Value::Object(maker) = weights {
        return Err(Failure::Object(heap.texts[maker].to_string()));
    }
    let mut tensors = BTreeMap::new();
    let named = match weights {
        Value::Tensor(tensor) => vec![(String::new(), tensor)],
        weights => named_tensors(weights, &mut heap)?,
    };
    for (key, tensor) in named {
        let stored = store(&heap.tensors[tensor], &storages, mapping);
        tensors.insert(key.clone(), stored.map_err(|reason| format!("the tensor '{key}' {reason}"))?);
    }
    Ok(Checkpoint::new(name, tensors).with_metadata(metadata(root, &mut heap)?))
}

/// The bytes of every storage in the file.
type Storages = HashMap<Arc<str>, Range<usize>>;

/// Bytes of a pickle, far above the index of any model.
const LARGEST_PICKLE: usize = 32 << 20;

/// Reads `NAME/data.pkl`, and finds the storages `NAME/data/KEY`.
fn open_zip(bytes: &[u8], heap: &mut Heap) -> Result<(Value, Storages), Failure> {
    let broken = |error: zip::result::ZipError| Failure::Malformed(error.to_string());
    let mut archive = ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| if has_end(bytes) { broken(error) } else { Failure::Truncated(error.to_string()) })?;
    let folder = folder_of_pickle(&mut archive).map_err(broken)?;
    let folder = folder.ok_or(Failure::Foreign("a zip archive of other files", "; unpack it first"))?;
    let mut pickle = None;
    let mut storages = Storages::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index_raw(index).map_err(broken)?;
        let name = entry.name().map_err(broken)?.into_owned();
        let Some(inner) = name.strip_prefix(&folder) else { continue };
        let is_storage = inner.starts_with("data/");
        if !is_storage && !matches!(inner, "data.pkl" | "byteorder") {
            continue;
        }
        if entry.compression() != CompressionMethod::Stored {
            return Err(Failure::Foreign(
                "a PyTorch file that was packed anew with compression",
                "; unpack it and pack it without (`zip -0 -r`), or convert it to safetensors",
            ));
        }
        if let Some(key) = inner.strip_prefix("data/") {
            let start = entry.data_start().and_then(|start| usize::try_from(start).ok());
            let range = start.zip(usize::try_from(entry.size()).ok()).and_then(|(start, size)| {
                let end = start.checked_add(size)?;
                (end <= bytes.len()).then_some(start..end)
            });
            storages
                .insert(key.into(), range.ok_or_else(|| Failure::Truncated(format!("'{name}' goes beyond the file")))?);
            continue;
        }
        let mut content = Vec::new();
        let limit = LARGEST_PICKLE as u64 + 1;
        entry.by_ref().take(limit).read_to_end(&mut content).map_err(|error| error.to_string())?;
        if content.len() > LARGEST_PICKLE {
            return Err(Failure::Costly);
        }
        // Many entries can have the same bytes.
        heap.spend(content.len())?;
        if inner == "byteorder" && content != b"little" {
            return Err("its numbers are not little-endian".into());
        }
        if inner == "data.pkl" {
            pickle = Some(content);
        }
    }
    let pickle = pickle.ok_or("the archive has no data.pkl")?;
    let (root, _) = pickle::read(&pickle, heap)?;
    Ok((root, storages))
}

/// Whether a zip archive has the record that ends it, behind which only a comment may stand.
fn has_end(bytes: &[u8]) -> bool {
    const LONGEST: usize = 22 + u16::MAX as usize;
    let end = &bytes[bytes.len().saturating_sub(LONGEST)..];
    end.windows(4).any(|window| window == b"PK\x05\x06")
}

/// What stands before `data.pkl` in the names: a folder of any depth, where the file was packed anew, or nothing.
fn folder_of_pickle(archive: &mut ZipArchive<Cursor<&[u8]>>) -> zip::result::ZipResult<Option<String>> {
    let mut folder: Option<String> = None;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index)?;
        let name = entry.name()?;
        let Some(before) = name.strip_suffix("data.pkl").filter(|before| before.is_empty() || before.ends_with('/'))
        else {
            continue;
        };
        if folder.as_ref().is_none_or(|folder| before.len() < folder.len()) {
            folder = Some(before.to_owned());
        }
    }
    Ok(folder)
}

/// Reads the pickles of the format before PyTorch 1.6: magic number, version, machine, weights, keys of the
/// storages; then the storages, each with the number of its elements in front.
fn open_legacy(bytes: &[u8], heap: &mut Heap) -> Result<(Value, Storages), Failure> {
    const PROTOCOL: Value = Value::Int(1001);
    let mut rest = 0;
    let mut next = |heap: &mut Heap| -> Result<Value, Failure> {
        let pickle = bytes[rest..].get(..LARGEST_PICKLE).unwrap_or(&bytes[rest..]);
        let (value, length) = pickle::read(pickle, heap).map_err(|failure| match failure {
            Failure::Malformed(reason) if pickle::is_short(&reason) => Failure::Truncated(reason),
            failure => failure,
        })?;
        rest += length;
        Ok(value)
    };
    // A number above 64 bits, then another one.
    let is_saved = match next(heap) {
        Ok(Value::Other) => next(heap)? == PROTOCOL,
        Err(failure @ Failure::Truncated(_)) => return Err(failure),
        _ => false,
    };
    if !is_saved {
        return Err(Failure::Foreign(
            "a Python pickle that torch.save has not written",
            "; open it in Python and save its tensors as safetensors",
        ));
    }
    let machine = next(heap)?;
    if heap.get(machine, "little_endian") != Some(Value::Bool(true)) {
        return Err("its numbers are not little-endian".into());
    }
    let root = next(heap)?;
    let keys = next(heap)?;
    let keys: Vec<Arc<str>> = match heap.sequence(keys) {
        Some(keys) => keys.iter().filter_map(|key| heap.shared_text(*key)).collect(),
        None => return Err("the list of storages is missing".into()),
    };
    let sizes: HashMap<&str, usize> = heap.storages.iter().map(|storage| (&*storage.key, storage.size)).collect();
    let mut storages = Storages::new();
    for key in keys {
        let size = *sizes.get(&*key).ok_or_else(|| format!("the storage '{key}' is of no tensor"))?;
        let header = bytes.get(rest..).and_then(|bytes| bytes.first_chunk::<8>());
        let elements = header.and_then(|header| usize::try_from(i64::from_le_bytes(*header)).ok());
        let range = elements.and_then(|elements| elements.checked_mul(size)).and_then(|length| {
            let start = rest + 8;
            let end = start.checked_add(length)?;
            (end <= bytes.len()).then_some(start..end)
        });
        let range = range.ok_or_else(|| Failure::Truncated(format!("the storage '{key}' goes beyond the file")))?;
        rest = range.end;
        storages.insert(key, range);
    }
    Ok((root, storages))
}

/// The tensors in a dictionary and the dictionaries in it, with dots between the keys.
fn named_tensors(root: Value, heap: &mut Heap) -> Result<Vec<(String, usize)>, Failure> {
    /// A model has one level, textual inversions two.
    const DEEPEST: usize = 4;
    let mut found = Vec::new();
    let mut waiting = vec![(String::new(), root, 0)];
    while let Some((path, value, depth)) = waiting.pop() {
        let Value::Dict(dict) = value else { continue };
        for place in 0..heap.dicts[dict].len() {
            let (key, value) = heap.dicts[dict][place];
            let key: Arc<str> = match key {
                Value::Int(key) => key.to_string().into(),
                key => match heap.shared_text(key) {
                    Some(key) => key,
                    None => continue,
                },
            };
            // A few dictionaries that hold each other would have no end, and many entries can have the same long key.
            heap.spend(size_of::<(String, usize)>() + path.len() + key.len())?;
            match value {
                Value::Tensor(tensor) => found.push((format!("{path}{key}"), tensor)),
                Value::Dict(_) if depth < DEEPEST => waiting.push((format!("{path}{key}."), value, depth + 1)),
                _ => {}
            }
        }
    }
    Ok(found)
}

/// The texts and numbers beside the weights.
fn metadata(root: Value, heap: &mut Heap) -> Result<BTreeMap<String, String>, Failure> {
    let mut metadata = BTreeMap::new();
    let Value::Dict(dict) = root else { return Ok(metadata) };
    for place in 0..heap.dicts[dict].len() {
        let (key, value) = heap.dicts[dict][place];
        let value = match value {
            Value::Int(number) => Some(number.to_string().into()),
            Value::Float(number) => Some(number.to_string().into()),
            value => heap.shared_text(value),
        };
        let (Some(key), Some(value)) = (heap.shared_text(key), value) else { continue };
        heap.spend(key.len() + value.len())?;
        metadata.insert(key.to_string(), value.to_string());
    }
    Ok(metadata)
}

/// A tensor where it lies in the file, if it lies inside its storage.
fn store(tensor: &Tensor, storages: &Storages, mapping: &Mapping) -> Result<StoredTensor, String> {
    let storage = storages.get(&*tensor.storage.key).ok_or("has a storage that the file lacks")?;
    let size = tensor.storage.size;
    let view = tensor.extent().and_then(|(count, elements)| {
        let start = storage.start.checked_add(elements.start.checked_mul(size)?)?;
        let end = storage.start.checked_add(elements.end.checked_mul(size)?)?;
        Some((count, start..end))
    });
    let (count, range) = view.filter(|(_, range)| range.end <= storage.end).ok_or("goes beyond its storage")?;
    // A view can repeat its elements (an `expand`); weights never do.
    if count > storage.len() / size.max(1) {
        return Err(format!("claims {count} elements of a storage that has {}", storage.len() / size.max(1)));
    }
    let source = if tensor.is_contiguous() {
        Source::Mapped { mapping: mapping.clone(), range }
    } else {
        let (tensor, mapping) = (tensor.clone(), mapping.clone());
        Source::Computed(Arc::new(move || tensor.gather(mapping.part(range.clone()).as_ref(), count)))
    };
    Ok(StoredTensor::new(tensor.storage.element, tensor.shape.clone(), source).in_file(mapping))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use crate::{Checkpoint, OpenError};

    /// What opening a file of these bytes says.
    fn refusal(bytes: &[u8]) -> OpenError {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let start = std::time::Instant::now();
        let refusal = Checkpoint::open(file.path()).unwrap_err();
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
        refusal
    }

    fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut file = std::io::Cursor::new(Vec::new());
        let mut writer = zip::ZipWriter::new(&mut file);
        let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for (name, bytes) in entries {
            writer.start_file(*name, stored).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap();
        file.into_inner()
    }

    /// A dictionary whose entries share a key and a value of a million bytes each.
    fn long_entries(start: &[u8]) -> Vec<u8> {
        let mut text = b"X\x40\x42\x0f\x00".to_vec();
        text.resize(text.len() + 1_000_000, b'a');
        [start, b"\x80\x02", &text, b"q\x010}(", &b"h\x01h\x01".repeat(5000), b"u."].concat()
    }

    /// The first pickles of the format before PyTorch 1.6: magic number, version, machine.
    const LEGACY: &[u8] =
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}X\r\x00\x00\x00little_endian\x88s.";

    #[test]
    fn what_would_cost_gigabytes_is_no_model_in_either_format() {
        let tuples = [b"\x80\x02N".as_slice(), &b"\x85\x94".repeat(15_000_000), b"."].concat();
        let large = vec![b'N'; (32 << 20) + 1];
        let names: Vec<_> = (0..6).map(|index| format!("{index}/data.pkl")).collect();
        let half = vec![b'N'; 30 << 20];
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), half.as_slice())).collect();
        let cases = [
            ("tuples", zip(&[("x/data.pkl", &tuples)])),
            ("tuples, legacy", [LEGACY, &tuples].concat()),
            ("long names of entries", zip(&[("x/data.pkl", &long_entries(b""))])),
            ("a large pickle", zip(&[("x/data.pkl", &large)])),
            ("many pickles", zip(&many)),
        ];
        for (what, file) in cases {
            let refusal = refusal(&file);
            assert!(matches!(refusal, OpenError::Costly { .. }), "{what}: {refusal}");
            assert!(refusal.to_string().contains("more memory than that of any model"), "{what}: {refusal}");
        }
    }
}
