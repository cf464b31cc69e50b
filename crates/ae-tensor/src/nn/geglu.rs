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
    let [hidden, gate] = input.chunk(2, 2).try_into().expect("two chunks");
    hidden * gelu(gate)
}
