use burn::nn::Linear;
use burn::tensor::Tensor;

/// A linear layer of the rows of `input`, plus `residual` if there is one.
///
/// # Shapes
/// - input: `[.., d_input]`
/// - residual and output: `[.., d_output]`
pub fn linear<const D: usize>(layer: &Linear, input: Tensor<D>, residual: Option<Tensor<D>>) -> Tensor<D> {
    #[cfg(feature = "cpu")]
    if let Some(output) = super::cpu::linear(layer, &input, residual.as_ref()) {
        return output;
    }
    let output = layer.forward(input);
    match residual {
        Some(residual) => output + residual,
        None => output,
    }
}
