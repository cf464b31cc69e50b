use burn::nn::Linear;
use burn::tensor::Tensor;

use crate::quantized::floats;

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
    let output = in_type_of(layer, &input).forward(input);
    match residual {
        Some(residual) => output + residual,
        None => output,
    }
}

/// The layer in the type of its input, for what the kernels do not do: the CPU keeps weights in other types than it computes in.
fn in_type_of<const D: usize>(layer: &Linear, input: &Tensor<D>) -> Linear {
    let (mut layer, dtype) = (layer.clone(), input.dtype());
    if layer.weight.dtype() != dtype {
        layer.weight = layer.weight.map(|weight| floats(weight).cast(dtype));
        layer.bias = layer.bias.map(|bias| bias.map(|bias| bias.cast(dtype)));
    }
    layer
}
