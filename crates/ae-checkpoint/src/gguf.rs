//! GGUF, the files of ggml's programs (stable-diffusion.cpp, ComfyUI-GGUF), by the rule of ggml's `docs/gguf.md`: versions 2 and
//! 3, little-endian.
//!
//! The crate ggus (0.5) reads them too. It was not taken: it brings regex, indexmap, num_enum with a parser of TOML, and rayon,
//! where the container is some counts, texts and offsets.

mod blocks;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::Failure;
use crate::mapping::Mapping;
use crate::tensor::Source;
use crate::{Checkpoint, ElementType, StoredTensor};
use blocks::Blocks;

/// Bytes that every tensor begins at a multiple of, where the file names no other number.
const ALIGNMENT: usize = 32;

/// Where ComfyUI-GGUF keeps the shape of tensors that it has flattened.
const SHAPES: &str = "comfy.gguf.orig_shape.";

/// Reads the index of a mapped file; the numbers stay where they are. Quantized tensors are widened to single precision when
/// they are read.
pub(crate) fn open(name: String, mapping: &Mapping) -> Result<Checkpoint, Failure> {
    let bytes = mapping.as_ref();
    let mut reader = Reader { bytes, at: 4 };
    match reader.u32()? {
        2 | 3 => {}
        version if matches!(version.swap_bytes(), 1..=3) => {
            return Err("it is big-endian, which is not supported".into());
        }
        version => return Err(format!("it is of version {version}; supported are 2 and 3").into()),
    }
    let (tensors, entries) = (reader.u64()?, reader.u64()?);
    let (mut metadata, mut shapes, mut alignment) = (BTreeMap::new(), BTreeMap::new(), ALIGNMENT);
    for _ in 0..entries {
        let key = reader.text()?;
        let value = reader.value()?;
        if let (Some(tensor), Value::Numbers(shape)) = (key.strip_prefix(SHAPES), &value) {
            shapes.insert(tensor.to_owned(), shape.clone());
        }
        match value {
            Value::Number(number) if key == "general.alignment" => {
                alignment = usize::try_from(number)
                    .ok()
                    .filter(|number| number.is_power_of_two())
                    .ok_or_else(|| Failure::Malformed(format!("its alignment is {number}; expected a power of two")))?;
            }
            Value::Number(number) => drop(metadata.insert(key, number.to_string())),
            Value::Text(text) => drop(metadata.insert(key, text)),
            Value::Numbers(_) | Value::Other => {}
        }
    }
    let mut found = Vec::new();
    for _ in 0..tensors {
        found.push(Info::read(&mut reader)?);
    }
    let data = reader.at.checked_next_multiple_of(alignment).ok_or("its index is too long")?;
    let mut named = BTreeMap::new();
    for info in found {
        let shape = shapes.get(&info.name);
        let stored = info.store(data, shape, mapping)?;
        if named.insert(info.name.clone(), stored).is_some() {
            return Err(format!("the tensor '{}' is there twice", info.name).into());
        }
    }
    Ok(Checkpoint::new(name, named).with_metadata(metadata))
}

/// What the index says of a tensor.
struct Info {
    name: String,
    /// Outermost first, as torch counts; ggml begins with the innermost.
    shape: Vec<usize>,
    kind: u32,
    offset: usize,
}

impl Info {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Failure> {
        /// ggml's own bound.
        const MOST_DIMENSIONS: u32 = 4;
        let name = reader.text()?;
        let dimensions = reader.u32()?;
        if dimensions > MOST_DIMENSIONS {
            return Err(format!("the tensor '{name}' has {dimensions} dimensions").into());
        }
        let mut shape = (0..dimensions).map(|_| reader.size()).collect::<Result<Vec<_>, _>>()?;
        shape.reverse();
        Ok(Self { name, shape, kind: reader.u32()?, offset: reader.size()? })
    }

    /// The tensor where it lies, `data` being where the first one may begin.
    fn store(&self, data: usize, original: Option<&Vec<i64>>, mapping: &Mapping) -> Result<StoredTensor, Failure> {
        let Self { name, shape, kind, offset } = self;
        let too_large = || Failure::Malformed(format!("the tensor '{name}' has the shape {shape:?}"));
        let count = shape.iter().try_fold(1usize, |count, side| count.checked_mul(*side)).ok_or_else(too_large)?;
        let plain = match kind {
            0 => Some(ElementType::F32),
            1 => Some(ElementType::F16),
            24 => Some(ElementType::I8),
            25 => Some(ElementType::I16),
            26 => Some(ElementType::I32),
            27 => Some(ElementType::I64),
            28 => Some(ElementType::F64),
            30 => Some(ElementType::BF16),
            _ => None,
        };
        let blocks = Blocks::of(*kind);
        let length = match (plain, &blocks) {
            (Some(element), _) => count.checked_mul(element.bitsize() / 8),
            (None, Some(blocks)) if shape.last().is_some_and(|side| side.is_multiple_of(blocks.numbers)) => {
                (count / blocks.numbers).checked_mul(blocks.bytes)
            }
            (None, Some(_)) => return Err(too_large()),
            (None, None) => {
                let names = Blocks::ALL.map(|blocks| blocks.name).join(", ");
                return Err(format!(
                    "the tensor '{name}' is of ggml's type {kind}, which is not supported; choose a file in F32, F16, BF16, {names}"
                )
                .into());
            }
        };
        let start = data.checked_add(*offset).ok_or_else(too_large)?;
        let end = length.and_then(|length| start.checked_add(length)).ok_or_else(too_large)?;
        let found = mapping.as_ref().len();
        if end > found {
            return Err(Failure::Truncated(format!("it has {found} bytes, and '{name}' ends at {end}")));
        }
        let range = start..end;
        let source = match (plain, blocks) {
            (None, Some(blocks)) => {
                let mapping = mapping.clone();
                Source::Computed(Arc::new(move || blocks.widened(mapping.part(range.clone()).as_ref())))
            }
            _ => Source::Mapped { mapping: mapping.clone(), range },
        };
        let stored = StoredTensor::new(plain.unwrap_or(ElementType::F32), shape.clone(), source);
        let Some(original) = original else { return Ok(stored) };
        let original: Option<Vec<usize>> = original.iter().map(|side| usize::try_from(*side).ok()).collect();
        original.and_then(|shape| stored.reshaped(&shape)).ok_or_else(too_large)
    }
}

/// A value beside the tensors.
enum Value {
    Number(i128),
    Text(String),
    /// An array of whole numbers.
    Numbers(Vec<i64>),
    /// One that nothing here needs.
    Other,
}

/// What has not been read of a file.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8], Failure> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| Failure::Truncated("it ends in its index".to_owned()))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Failure> {
        Ok(*self.take(N)?.first_chunk().ok_or("it ends in its index")?)
    }

    fn u32(&mut self) -> Result<u32, Failure> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Failure> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn size(&mut self) -> Result<usize, Failure> {
        usize::try_from(self.u64()?).map_err(|_| "a size in its index is too large".into())
    }

    fn text(&mut self) -> Result<String, Failure> {
        let length = self.size()?;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn value(&mut self) -> Result<Value, Failure> {
        let kind = self.u32()?;
        match kind {
            8 => Ok(Value::Text(self.text()?)),
            9 => self.list(),
            _ => self.number(kind),
        }
    }

    fn number(&mut self, kind: u32) -> Result<Value, Failure> {
        Ok(match kind {
            0 | 7 => Value::Number(self.array::<1>()?[0].into()),
            1 => Value::Number(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Number(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Number(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Number(self.u32()?.into()),
            5 => Value::Number(i32::from_le_bytes(self.array()?).into()),
            10 => Value::Number(self.u64()?.into()),
            11 => Value::Number(i64::from_le_bytes(self.array()?).into()),
            6 => self.array::<4>().map(|_| Value::Other)?,
            12 => self.array::<8>().map(|_| Value::Other)?,
            _ => return Err(format!("a value beside its tensors is of the unknown type {kind}").into()),
        })
    }

    /// An array, as far as a shape goes; of arrays in arrays there are none in any file.
    fn list(&mut self) -> Result<Value, Failure> {
        const KEPT: usize = 8;
        let (kind, length) = (self.u32()?, self.u64()?);
        let mut numbers = Vec::new();
        for _ in 0..length {
            if kind == 8 {
                let length = self.size()?;
                self.take(length)?;
            } else if let Value::Number(number) = self.number(kind)?
                && let Ok(number) = i64::try_from(number)
                && numbers.len() < KEPT
            {
                numbers.push(number);
            }
        }
        Ok(Value::Numbers(numbers))
    }
}
