use burn::tensor::{DType, Tensor};

use crate::device::is_cpu;

/// A part of a network's weights in the type that the network computes in: on the CPU single precision, elsewhere their own.
pub fn computed<const D: usize>(weights: Tensor<D>) -> Tensor<D> {
    let dtype = computed_dtype(&weights);
    weights.cast(dtype)
}

/// The type that a network with these weights computes in.
pub fn computed_dtype<const D: usize>(weights: &Tensor<D>) -> DType {
    if is_cpu(&weights.device()) { DType::F32 } else { weights.dtype() }
}
