use super::operation::{Input, Primitive, Stored, constant, run, sides, tensor, values};
use ae_kernels::{WeightOrder, linear as kernel};
use burn::nn;
use burn::tensor::Tensor;

/// A linear layer, plus a residual.
pub(in crate::nn) fn linear<const D: usize>(
    layer: &nn::Linear,
    input: &Tensor<D>,
    residual: Option<&Tensor<D>>,
) -> Option<Tensor<D>> {
    let bias = match &layer.bias {
        Some(bias) => Some(constant(&bias.val())?),
        None => None,
    };
    let weight = Stored::new(&layer.weight.val())?.in_order();
    let [inputs, outputs] = sides(&weight.values);
    let shape = input.dims();
    let with_last = move |last| shape.into_iter().take(D - 1).chain([last]).collect::<Vec<usize>>();
    let (forward_weight, has_residual) = (weight.clone(), residual.is_some());
    let forward = |[input, residual]: [Primitive; 2], _| {
        let (input, residual) = (input.to_contiguous(), has_residual.then(|| residual.to_contiguous()));
        let (bias, residual) = (bias.as_ref().map(values), residual.as_ref().map(values));
        let output =
            kernel(values(&input), forward_weight.weights(), WeightOrder::InputsFirst, outputs, bias, residual);
        (tensor(output, with_last(outputs)), Some(()))
    };
    let backward = move |(), gradient: Primitive, [input, _]: [bool; 2]| {
        let gradient = gradient.to_contiguous();
        let by_input = || kernel(values(&gradient), weight.weights(), WeightOrder::OutputsFirst, inputs, None, None);
        [input.then(|| tensor(by_input(), with_last(inputs))), Some(gradient)]
    };
    Some(run([Input::new(input)?, Input::optional(residual)?], forward, backward))
}
