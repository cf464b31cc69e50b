//! From the bytes of a checkpoint to the data of a tensor.

use std::io;

use ae_checkpoint::{ElementType, StoredTensor};
use burn::tensor::{AllocationProperty, Bytes, TensorData, bf16, f16};

use crate::{BurnFloat, FloatType};

/// The data of a stored tensor in `dtype`; transposed, if it is to be, from `[rows, cols]`.
///
/// What stays as it is stays where it is: the tensor uses the mapped file.
pub(super) fn tensor_data(stored: &StoredTensor, dtype: FloatType, transposed: bool) -> io::Result<TensorData> {
    stored.check_file()?;
    if let ([_, _], true) = (stored.shape(), transposed) {
        return Ok(match dtype {
            FloatType::F32 | FloatType::Q8 => transpose(&stored.to_f32()?, stored.shape()),
            FloatType::F16 => transpose(&f16s(stored)?, stored.shape()),
            FloatType::BF16 => transpose(&bf16s(stored)?, stored.shape()),
        });
    }
    let shape = stored.shape().to_vec();
    if let Some(bytes) = shared(stored, dtype) {
        return Ok(TensorData::from_bytes(bytes, shape, dtype.dtype()));
    }
    Ok(match dtype {
        FloatType::F32 | FloatType::Q8 => TensorData::new(stored.to_f32()?, shape),
        FloatType::F16 => TensorData::new(f16s(stored)?, shape),
        FloatType::BF16 => TensorData::new(bf16s(stored)?, shape),
    })
}

fn f16s(stored: &StoredTensor) -> io::Result<Vec<f16>> {
    if stored.element() == ElementType::F16 {
        return Ok(pairs(&stored.bytes()).map(f16::from_le_bytes).collect());
    }
    Ok(stored.to_f32()?.into_iter().map(f16::from_f32).collect())
}

fn bf16s(stored: &StoredTensor) -> io::Result<Vec<bf16>> {
    if stored.element() == ElementType::BF16 {
        return Ok(pairs(&stored.bytes()).map(bf16::from_le_bytes).collect());
    }
    Ok(stored.to_f32()?.into_iter().map(bf16::from_f32).collect())
}

fn pairs(bytes: &[u8]) -> impl Iterator<Item = [u8; 2]> {
    bytes.as_chunks().0.iter().copied()
}

/// The stored bytes themselves, where they are of this type and lie as such numbers must.
fn shared(stored: &StoredTensor, dtype: FloatType) -> Option<Bytes> {
    let (element, alignment) = match dtype {
        FloatType::F32 | FloatType::Q8 => (ElementType::F32, align_of::<f32>()),
        FloatType::F16 => (ElementType::F16, align_of::<f16>()),
        FloatType::BF16 => (ElementType::BF16, align_of::<bf16>()),
    };
    if stored.element() != element || cfg!(target_endian = "big") {
        return None;
    }
    let bytes = stored.bytes();
    let is_aligned = bytes.as_ptr().align_offset(alignment) == 0;
    is_aligned.then(|| Bytes::from_shared(bytes, AllocationProperty::File))
}

fn transpose<T: Copy + burn::tensor::Element>(values: &[T], shape: &[usize]) -> TensorData {
    /// Small enough that the rows and columns of a tile stay in the fastest cache.
    const TILE: usize = 16;
    let [rows, cols] = [shape[0], shape[1]];
    let mut output = values.to_vec();
    for row in (0..rows).step_by(TILE) {
        for col in (0..cols).step_by(TILE) {
            for c in col..cols.min(col + TILE) {
                for r in row..rows.min(row + TILE) {
                    output[c * rows + r] = values[r * cols + c];
                }
            }
        }
    }
    TensorData::new(output, [cols, rows])
}

#[cfg(test)]
mod tests {
    use ae_checkpoint::Checkpoint;
    use safetensors::Dtype;
    use safetensors::tensor::TensorView;

    use super::*;

    fn stored(dtype: Dtype, shape: &[usize], bytes: &[u8]) -> StoredTensor {
        let view = TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
        let file = safetensors::serialize([("x", view)], None).unwrap();
        Checkpoint::from_bytes("test", file.into()).unwrap().get("x").unwrap().clone()
    }

    #[test]
    fn a_weight_is_transposed_in_tiles_of_any_remainder() {
        let values: Vec<u8> = (0..17 * 35).flat_map(|value| (value as f32).to_le_bytes()).collect();
        let stored = stored(Dtype::F32, &[17, 35], &values);
        let data = tensor_data(&stored, FloatType::F32, true).unwrap();
        assert_eq!(data.shape().to_vec(), [35, 17]);
        let transposed = data.as_slice::<f32>().unwrap();
        for (index, value) in transposed.iter().enumerate() {
            let (col, row) = (index / 17, index % 17);
            assert!((*value - (row * 35 + col) as f32).abs() < 0.5);
        }
    }

    #[test]
    fn every_type_is_cast_to_every_other() {
        let cases = [
            (Dtype::F32, 1.5f32.to_le_bytes().to_vec()),
            (Dtype::F16, f16::from_f32(1.5).to_le_bytes().to_vec()),
            (Dtype::BF16, bf16::from_f32(1.5).to_le_bytes().to_vec()),
            (Dtype::F8_E4M3, vec![0x3c]),
            (Dtype::F8_E5M2, vec![0x3e]),
            (Dtype::F64, 1.5f64.to_le_bytes().to_vec()),
        ];
        for (stored_as, bytes) in cases {
            for &dtype in FloatType::ALL {
                let data = tensor_data(&stored(stored_as, &[1], &bytes), dtype, false).unwrap();
                assert_eq!(data.dtype(), dtype.dtype());
                assert_eq!(data.iter::<f32>().collect::<Vec<_>>(), [1.5], "{stored_as:?} to {dtype}");
            }
        }
    }

    #[test]
    fn what_is_no_float_is_an_error() {
        let error = tensor_data(&stored(Dtype::I64, &[1], &[0; 8]), FloatType::F32, false).unwrap_err();
        assert!(error.to_string().contains("found I64"), "{error}");
    }
}
