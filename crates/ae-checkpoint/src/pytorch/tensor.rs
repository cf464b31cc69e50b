//! Tensors as a pickle describes them: a view of a storage.

use std::sync::Arc;

use super::pickle::{Heap, Value};
use crate::ElementType;

/// The numbers that tensors are views of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    /// Its name in the file.
    pub(super) key: Arc<str>,
    pub(super) element: ElementType,
    /// Bytes of an element.
    pub(super) size: usize,
}

/// A view of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tensor {
    pub(super) storage: Storage,
    /// In elements.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

impl Storage {
    /// Reads `("storage", class, key, location, elements)`; older files have a view after that, which must be none.
    pub(super) fn from_id(fields: &[Value], heap: &Heap) -> Result<Self, String> {
        let &[tag, Value::Global(class), key, _, _, ref view @ ..] = fields else {
            return Err("a storage has an unknown id".to_owned());
        };
        if heap.text(tag) != Some("storage") || view.iter().any(|view| *view != Value::None) {
            return Err("a storage has an unknown id".to_owned());
        }
        let key = match key {
            Value::Int(key) => key.to_string().into(),
            key => heap.shared_text(key).ok_or("a storage has no name")?,
        };
        let class = &*heap.texts[class];
        let (element, size) = match class.strip_prefix("torch.").unwrap_or(class) {
            "DoubleStorage" => (ElementType::F64, 8),
            "FloatStorage" => (ElementType::F32, 4),
            "HalfStorage" => (ElementType::F16, 2),
            "BFloat16Storage" => (ElementType::BF16, 2),
            "LongStorage" => (ElementType::I64, 8),
            "IntStorage" => (ElementType::I32, 4),
            "ShortStorage" => (ElementType::I16, 2),
            "ComplexFloatStorage" => (ElementType::C64, 8),
            // Safetensors has no wider complex numbers; those are no weights either.
            "ComplexDoubleStorage" => (ElementType::C64, 16),
            "BoolStorage" => (ElementType::BOOL, 1),
            "CharStorage" => (ElementType::I8, 1),
            _ => (ElementType::U8, 1),
        };
        Ok(Self { key, element, size })
    }
}

impl Tensor {
    /// Reads the arguments of `torch._utils._rebuild_tensor_v2`: storage, offset, shape, strides; those of `_rebuild_tensor_v3`,
    /// for types that have no storage of their own, go on with requires_grad, hooks and the type.
    pub(super) fn rebuild(arguments: &[Value], heap: &Heap) -> Result<Self, String> {
        /// Above that of any weight.
        const MOST_SIDES: usize = 8;
        let &[Value::Storage(storage), Value::Int(offset), shape, strides, ..] = arguments else {
            return Err("a tensor is not described by storage, offset, shape and strides".to_owned());
        };
        let numbers = |value: Value| -> Option<Vec<usize>> {
            let number = |value: &Value| match value {
                Value::Int(number) => usize::try_from(*number).ok(),
                _ => None,
            };
            heap.sequence(value)?.iter().map(number).collect()
        };
        let sides = heap.sequence(shape).unwrap_or_default().len();
        if sides > MOST_SIDES || heap.sequence(strides).unwrap_or_default().len() != sides {
            return Err(format!("a tensor has other strides than sides, or more than {MOST_SIDES} sides"));
        }
        let (Ok(offset), Some(shape), Some(strides)) = (usize::try_from(offset), numbers(shape), numbers(strides))
        else {
            return Err("a tensor has sizes that are no counts".to_owned());
        };
        let mut storage = heap.storages[storage].clone();
        if let Some(Value::Global(dtype)) = arguments.get(6) {
            let dtype = &*heap.texts[*dtype];
            (storage.element, storage.size) = match dtype.strip_prefix("torch.").unwrap_or(dtype) {
                "float8_e4m3fn" => (ElementType::F8_E4M3, 1),
                "float8_e5m2" => (ElementType::F8_E5M2, 1),
                "uint16" => (ElementType::U16, 2),
                "uint32" => (ElementType::U32, 4),
                "uint64" => (ElementType::U64, 8),
                _ => return Err(format!("a tensor has the type {dtype}, which is not supported")),
            };
        }
        Ok(Self { storage, offset, shape, strides })
    }

    /// The number of elements, and the first and the past-the-last element of the storage that they lie in.
    pub(super) fn extent(&self) -> Option<(usize, std::ops::Range<usize>)> {
        let count = self.shape.iter().try_fold(1usize, |count, side| count.checked_mul(*side))?;
        if count == 0 {
            return Some((0, self.offset..self.offset));
        }
        let last = self
            .shape
            .iter()
            .zip(&self.strides)
            .try_fold(self.offset, |last, (side, stride)| last.checked_add((side - 1).checked_mul(*stride)?))?;
        Some((count, self.offset..last.checked_add(1)?))
    }

    /// Whether the elements lie in the storage row by row without gaps.
    pub(super) fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(side, stride)| {
            let fits = *side == 1 || *stride == expected;
            expected *= side;
            fits
        })
    }

    /// The elements row by row, from the bytes of [`Tensor::extent`].
    pub(super) fn gather(&self, bytes: &[u8], count: usize) -> Vec<u8> {
        let size = self.storage.size;
        let mut output = Vec::with_capacity(count * size);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..count {
            let start: usize = index.iter().zip(&self.strides).map(|(index, stride)| index * stride).sum();
            output.extend_from_slice(&bytes[start * size..(start + 1) * size]);
            for (index, side) in index.iter_mut().zip(&self.shape).rev() {
                *index += 1;
                if *index < *side {
                    break;
                }
                *index = 0;
            }
        }
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(offset: usize, shape: &[usize], strides: &[usize]) -> Tensor {
        let storage = Storage { key: "0".into(), element: ElementType::U8, size: 1 };
        Tensor { storage, offset, shape: shape.to_vec(), strides: strides.to_vec() }
    }

    /// `torch.arange(6).reshape(2, 3).t()`
    #[test]
    fn a_transposed_view_is_gathered() {
        let view = tensor(0, &[3, 2], &[1, 3]);
        assert!(!view.is_contiguous());
        assert_eq!(view.extent(), Some((6, 0..6)));
        assert_eq!(view.gather(&[0, 1, 2, 3, 4, 5], 6), [0, 3, 1, 4, 2, 5]);
    }

    #[test]
    fn views_know_what_they_cover() {
        assert!(tensor(4, &[2, 1, 3], &[3, 99, 1]).is_contiguous());
        assert_eq!(tensor(4, &[2, 3], &[3, 1]).extent(), Some((6, 4..10)));
        assert_eq!(tensor(4, &[0, 3], &[3, 1]).extent(), Some((0, 4..4)));
        assert_eq!(tensor(0, &[usize::MAX, 2], &[1, 1]).extent(), None);
        assert_eq!(tensor(1, &[2], &[usize::MAX]).extent(), None);
    }
}
