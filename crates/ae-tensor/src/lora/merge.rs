//! The merged value of one parameter.

use std::io;

use ae_checkpoint::{LoraFactor, LoraLayer, LoraMagnitude, LoraUpdate, StoredTensor};
use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::quantized::floats;

/// Why an update cannot be merged.
pub(super) enum Refusal {
    Shape { expected: Vec<usize>, found: Vec<usize> },
    Read(io::Error),
    NotFinite,
}

/// `W + strength * scale * update`, and with a magnitude the rescaled sum; in single precision.
///
/// The weight of a linear layer is `[input, output]`, where PyTorch and with it the update have `[output, input]`.
pub(super) fn merge<const D: usize>(
    weight: Tensor<D>,
    layer: &LoraLayer,
    strength: f64,
    is_linear_weight: bool,
) -> Result<Tensor<D>, Refusal> {
    let (device, shape) = (weight.device(), weight.shape());
    let mut expected = weight.dims().to_vec();
    if is_linear_weight {
        expected.reverse();
    }
    let [rows, columns] = layer.update.shape().unwrap_or_default();
    // A 1x1 convolution may have the factors of a linear layer, and the other way round.
    if rows != expected[0] || rows.checked_mul(columns) != Some(shape.num_elements()) {
        return Err(Refusal::Shape { expected, found: vec![rows, columns] });
    }
    let turn = |matrix: Tensor<2>| if is_linear_weight { matrix.transpose() } else { matrix };
    let update = update(&layer.update, &device)? * (strength * layer.scale);
    let weight = floats(weight).cast(DType::F32);
    let merged = match &layer.magnitude {
        None => weight + turn(update).reshape(shape),
        Some(magnitude) => {
            let lying = if is_linear_weight { [columns, rows] } else { [rows, columns] };
            let sum = turn(weight.reshape(lying)) + update;
            turn(rescale(sum, magnitude, &expected, &device)?).reshape(shape)
        }
    };
    Ok(merged)
}

/// DoRA's weight of a sum `[output, input * kernel]`: `DoraLinearVariant.merge_safe` of PEFT's `tuners/lora/variants.py`, and with
/// numbers for each input `apply_weight_decompose` of LyCORIS' `modules/locon.py`.
fn rescale(sum: Tensor<2>, magnitude: &LoraMagnitude, shape: &[usize], device: &Device) -> Result<Tensor<2>, Refusal> {
    let count = magnitude.values.num_elements();
    let [rows, columns] = sum.dims();
    let side = usize::from(magnitude.is_per_input);
    if shape.get(side) != Some(&count) {
        return Err(Refusal::Shape { expected: vec![shape.get(side).copied().unwrap_or(0)], found: vec![count] });
    }
    let (lying, summed) = if magnitude.is_per_input {
        ([rows, count, columns / count], [0_usize, 2])
    } else {
        ([count, 1, columns], [1, 2])
    };
    let sum: Tensor<3> = sum.reshape(lying);
    let squares = summed.into_iter().fold(sum.clone() * sum.clone(), Tensor::sum_dim);
    // Of a row of zeros nothing is left, as PEFT's quotient has no value there.
    let norm = squares.sqrt().clamp_min(f32::MIN_POSITIVE);
    let values = read(&magnitude.values, [count, 1], device)?;
    let values: Tensor<3> = values.reshape(if magnitude.is_per_input { [1, count, 1] } else { [count, 1, 1] });
    Ok((sum * (values / norm)).reshape([rows, columns]))
}

/// The update without its factor: `[output, input * kernel]`.
fn update(update: &LoraUpdate, device: &Device) -> Result<Tensor<2>, Refusal> {
    Ok(match update {
        LoraUpdate::Matrix(factor) => matrix(factor, device)?,
        LoraUpdate::Hadamard(one, other) => matrix(one, device)? * matrix(other, device)?,
        LoraUpdate::Kronecker(one, other) => {
            let (one, other) = (matrix(one, device)?, matrix(other, device)?);
            let ([a, b], [c, d]) = (one.dims(), other.dims());
            let product: Tensor<4> = one.reshape([a, 1, b, 1]) * other.reshape([1, c, 1, d]);
            product.reshape([a * c, b * d])
        }
    })
}

/// A matrix, its columns the inputs times the kernel.
fn matrix(factor: &LoraFactor, device: &Device) -> Result<Tensor<2>, Refusal> {
    let rows_of = |stored: &StoredTensor| stored.shape().first().copied().unwrap_or(1).max(1);
    let whole = |stored: &StoredTensor| {
        let rows = rows_of(stored);
        read(stored, [rows, stored.num_elements() / rows], device)
    };
    let (left, core, right) = match factor {
        LoraFactor::Whole(stored) => return whole(stored),
        LoraFactor::Product { left, is_left_transposed, core, right } => {
            let left = whole(left)?;
            (if *is_left_transposed { left.transpose() } else { left }, core, whole(right)?)
        }
    };
    let Some(core) = core else { return Ok(left.matmul(right)) };

    // sum over a and b of left[o, a] core[a, b, kernel] right[b, i], as [o, i, kernel].
    let ([output, _], [rank, input]) = (left.dims(), right.dims());
    let core = whole(core)?;
    let kernel = core.dims()[1] / rank;
    let left = left.matmul(core);
    let left: Tensor<2> = left.reshape([output, rank, kernel]).swap_dims(1, 2).reshape([output * kernel, rank]);
    let product: Tensor<3> = left.matmul(right).reshape([output, kernel, input]).swap_dims(1, 2);
    Ok(product.reshape([output, input * kernel]))
}

fn read(stored: &StoredTensor, shape: [usize; 2], device: &Device) -> Result<Tensor<2>, Refusal> {
    let values = stored.to_f32().map_err(Refusal::Read)?;
    if !values.iter().all(|value| value.is_finite()) {
        return Err(Refusal::NotFinite);
    }
    Ok(Tensor::from_data(TensorData::new(values, shape), device))
}
