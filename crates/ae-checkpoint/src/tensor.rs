use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use float8::{F8E4M3, F8E5M2};
use half::{bf16, f16};

use crate::ElementType;
use crate::mapping::Mapping;

/// A tensor in a checkpoint: its type and shape, and the way to its bytes.
///
/// Cheap to clone; nothing is read before [`StoredTensor::bytes`].
#[derive(Clone)]
pub struct StoredTensor {
    element: ElementType,
    shape: Vec<usize>,
    source: Source,
    /// The part of the source's rows (first dimension) that is this tensor, in bytes.
    part: Option<Range<usize>>,
    /// The mapped file that the bytes come from.
    file: Option<Mapping>,
}

/// Where the bytes are.
#[derive(Clone)]
pub(crate) enum Source {
    /// In memory.
    Memory(Bytes),
    /// In a mapped file.
    Mapped { mapping: Mapping, range: Range<usize> },
    /// Gathered on demand.
    Computed(Arc<dyn Fn() -> Vec<u8> + Send + Sync>),
}

impl StoredTensor {
    pub(crate) fn new(element: ElementType, shape: Vec<usize>, source: Source) -> Self {
        let file = match &source {
            Source::Mapped { mapping, .. } => Some(mapping.clone()),
            Source::Memory(_) | Source::Computed(_) => None,
        };
        Self { element, shape, source, part: None, file }
    }

    /// A tensor whose bytes, row by row and little-endian, are computed whenever they are asked for.
    pub fn computed(
        element: ElementType,
        shape: Vec<usize>,
        bytes: impl Fn() -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::new(element, shape, Source::Computed(Arc::new(bytes)))
    }

    /// Says that the bytes are computed from a mapped file.
    pub(crate) fn in_file(mut self, mapping: &Mapping) -> Self {
        self.file = Some(mapping.clone());
        self
    }

    /// Whether the bytes can still be read. Of a mapped file that somebody has cut since, to read them would end the process; ask
    /// before [`bytes`](Self::bytes), which cannot say so. [`to_f32`](Self::to_f32) asks itself.
    ///
    /// # Errors
    ///
    /// When the file is shorter than it was when it was opened.
    pub fn check_file(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), Mapping::check)
    }

    /// The type of its numbers.
    pub fn element(&self) -> ElementType {
        self.element
    }

    /// Whether its numbers are floating-point numbers, of a type that [`StoredTensor::to_f32`] reads.
    pub fn is_float(&self) -> bool {
        use ElementType::{BF16, F8_E4M3, F8_E5M2, F16, F32, F64};
        matches!(self.element, F64 | F32 | F16 | BF16 | F8_E4M3 | F8_E5M2)
    }

    /// Its extents, outermost first; empty for a single number.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of its elements.
    pub fn num_elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Its elements, row by row and little-endian.
    ///
    /// Of a mapped file these are the mapped pages themselves, which go back to the system when the last clone of
    /// the returned bytes is dropped: weights that were converted are not in memory twice. Only a tensor that was
    /// saved as a view with gaps is a copy.
    pub fn bytes(&self) -> Bytes {
        let part = |bytes: Bytes| match &self.part {
            Some(part) => bytes.slice(part.clone()),
            None => bytes,
        };
        match &self.source {
            Source::Memory(bytes) => part(bytes.clone()),
            Source::Computed(gather) => part(Bytes::from(gather())),
            Source::Mapped { mapping, range } => {
                let part = self.part.clone().unwrap_or(0..range.len());
                Bytes::from_owner(mapping.part(range.start + part.start..range.start + part.end))
            }
        }
    }

    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.source, Source::Mapped { .. })
    }

    /// Its elements in single precision.
    ///
    /// # Errors
    ///
    /// When the elements are no floating-point numbers, or their file was cut since it was opened.
    pub fn to_f32(&self) -> io::Result<Vec<f32>> {
        self.check_file()?;
        let bytes = self.bytes();
        Ok(match self.element {
            ElementType::F64 => convert(&bytes, |bytes| f64::from_le_bytes(bytes) as f32),
            ElementType::F32 => convert(&bytes, f32::from_le_bytes),
            ElementType::F16 => convert(&bytes, |bytes| f16::from_le_bytes(bytes).to_f32()),
            ElementType::BF16 => convert(&bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            // torch's `float8_e4m3fn`, which has no infinity, and `float8_e5m2`.
            ElementType::F8_E4M3 => convert(&bytes, |[bits]| F8E4M3::from_bits(bits).to_f32()),
            ElementType::F8_E5M2 => convert(&bytes, |[bits]| F8E5M2::from_bits(bits).to_f32()),
            other => {
                let message = format!("expected floating-point numbers, found {other}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        })
    }

    /// The same elements in another shape; `None` when their numbers differ.
    pub(crate) fn reshaped(mut self, shape: &[usize]) -> Option<Self> {
        if shape.iter().product::<usize>() != self.num_elements() {
            return None;
        }
        self.shape = shape.to_vec();
        Some(self)
    }

    /// Part `index` of `count` equal parts along the first dimension; `None` when it cannot be divided so.
    pub(crate) fn chunk(mut self, index: usize, count: usize) -> Option<Self> {
        let rows = *self.shape.first()?;
        let bits = self.num_elements() / count * self.element.bitsize();
        if rows == 0 || rows % count != 0 || !bits.is_multiple_of(8) {
            return None;
        }
        let size = bits / 8;
        let start = self.part.as_ref().map_or(0, |part| part.start) + index * size;
        self.part = Some(start..start + size);
        self.shape[0] = rows / count;
        Some(self)
    }
}

fn convert<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
}

impl fmt::Debug for StoredTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.element, self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_float_type_becomes_single_precision() {
        let cases: [(ElementType, Vec<u8>); 4] = [
            (ElementType::F64, (-1.5f64).to_le_bytes().to_vec()),
            (ElementType::F32, (-1.5f32).to_le_bytes().to_vec()),
            (ElementType::F16, f16::from_f32(-1.5).to_le_bytes().to_vec()),
            (ElementType::BF16, bf16::from_f32(-1.5).to_le_bytes().to_vec()),
        ];
        for (element, bytes) in cases {
            let tensor = StoredTensor::new(element, Vec::new(), Source::Memory(bytes.into()));
            assert_eq!(tensor.to_f32().unwrap(), [-1.5], "{element}");
        }
        let ids = StoredTensor::new(ElementType::I64, Vec::new(), Source::Memory(vec![0; 8].into()));
        assert!(ids.to_f32().unwrap_err().to_string().contains("found I64"));
    }

    /// `torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float()` and the same of `float8_e5m2`, by their rules:
    /// one bit of sign, then exponent and mantissa, numbers below the least exponent without the leading one.
    #[test]
    fn every_number_of_eight_bits_is_torchs() {
        let bits: Vec<u8> = (0..=u8::MAX).collect();
        let read =
            |element| StoredTensor::new(element, vec![256], Source::Memory(bits.clone().into())).to_f32().unwrap();
        let rule = |bits: u8, mantissa_bits: i32, bias: i32| {
            let magnitude = i32::from(bits & 0x7f);
            let (exponent, mantissa) = (magnitude >> mantissa_bits, magnitude & ((1 << mantissa_bits) - 1));
            let (lead, exponent) = if exponent == 0 { (0, 1) } else { (1 << mantissa_bits, exponent) };
            let value = (lead + mantissa) as f32 * 2f32.powi(exponent - bias - mantissa_bits);
            if bits & 0x80 == 0 { value } else { -value }
        };
        let (e4m3, e5m2) = (read(ElementType::F8_E4M3), read(ElementType::F8_E5M2));
        for (index, bits) in bits.iter().copied().enumerate() {
            if bits & 0x7f == 0x7f {
                assert!(e4m3[index].is_nan(), "{bits:#x}");
            } else {
                assert_eq!(e4m3[index].to_bits(), rule(bits, 3, 7).to_bits(), "{bits:#x}");
            }
            match bits & 0x7f {
                0x7c => assert!(e5m2[index].is_infinite(), "{bits:#x}"),
                0x7d..=0x7f => assert!(e5m2[index].is_nan(), "{bits:#x}"),
                _ => assert_eq!(e5m2[index].to_bits(), rule(bits, 2, 15).to_bits(), "{bits:#x}"),
            }
        }
        assert_eq!((e4m3[0x7e], e5m2[0x7b], e4m3[0x01]), (448.0, 57344.0, 0.001_953_125));
    }

    #[test]
    fn a_file_that_was_cut_is_an_error_and_no_signal() {
        use crate::Checkpoint;
        use safetensors::tensor::TensorView;
        let numbers = vec![1; 1 << 20];
        let view = TensorView::new(ElementType::F32, vec![1 << 10, 1 << 8], &numbers).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), safetensors::serialize([("x", view)], None).unwrap()).unwrap();
        let checkpoint = Checkpoint::open(file.path()).unwrap();
        let tensor = checkpoint.get("x").unwrap().clone();
        let part = tensor.clone().chunk(1, 2).unwrap();
        assert!(tensor.check_file().is_ok() && part.to_f32().is_ok());
        // Longer is not shorter.
        let length = file.as_file().metadata().unwrap().len();
        file.as_file().set_len(length + 9).unwrap();
        assert!(tensor.to_f32().is_ok());
        for length in [length - 1, 4096, 0] {
            file.as_file().set_len(length).unwrap();
            for tensor in [&tensor, &part, &tensor.clone().reshaped(&[1 << 18]).unwrap()] {
                let error = tensor.to_f32().unwrap_err().to_string();
                assert!(
                    error.ends_with(&format!("and has {length} now; it must not be changed while it is in use")),
                    "{error}"
                );
            }
        }
    }

    fn tensor(shape: &[usize]) -> StoredTensor {
        let values: Vec<u8> = (0..shape.iter().product::<usize>() as u16).flat_map(u16::to_le_bytes).collect();
        StoredTensor::new(ElementType::F16, shape.to_vec(), Source::Memory(values.into()))
    }

    fn values(tensor: &StoredTensor) -> Vec<u16> {
        tensor.bytes().as_chunks::<2>().0.iter().map(|bytes| u16::from_le_bytes(*bytes)).collect()
    }

    #[test]
    fn chunks_are_rows_of_the_whole() {
        let fused = tensor(&[6, 2]);
        let last = fused.clone().chunk(2, 3).unwrap();
        assert_eq!((last.shape(), values(&last)), ([2, 2].as_slice(), vec![8, 9, 10, 11]));
        let nested = last.chunk(1, 2).unwrap();
        assert_eq!((nested.shape(), values(&nested)), ([1, 2].as_slice(), vec![10, 11]));
        assert!(fused.chunk(0, 4).is_none());
    }

    #[test]
    fn a_shape_of_another_size_is_refused() {
        assert_eq!(tensor(&[4, 2, 1, 1]).reshaped(&[4, 2]).unwrap().shape(), [4, 2]);
        assert!(tensor(&[4]).reshaped(&[5]).is_none());
    }
}
