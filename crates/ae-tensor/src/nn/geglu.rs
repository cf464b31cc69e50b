use burn::tensor::Tensor;
use burn::tensor::activation::gelu;

/// The first half of every row times the GELU of the second (diffusers' `models/activations.py`, `GEGLU`, without its
/// projection).
///
/// # Shapes
/// - input: `[batch, rows, 2 * width]`
/// - output: `[batch, rows, width]`
pub fn geglu(input: Tensor<3>) -> Tensor<3> {
    #[cfg(feature = "cpu")]
    if let Some(output) = super::cpu::geglu(&input) {
        return output;
    }
    let width = input.dims()[2] / 2;
    input.clone().narrow(2, 0, width) * gelu(input.narrow(2, width, width))
}
