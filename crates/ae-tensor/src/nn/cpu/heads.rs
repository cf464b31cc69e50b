use super::operation::{Input, Primitive, run, tensor, values};
use ae_kernels::HeadSum as Kernel;
use burn::tensor::Tensor;

/// The mean over the heads of several layers.
pub(in crate::nn) fn mean_over_heads(layers: &[Tensor<4>]) -> Option<Tensor<3>> {
    let total = layers.iter().map(|layer| layer.dims()[1]).sum();
    let mut sum = None;
    for (index, layer) in layers.iter().enumerate() {
        sum = Some(add(layer, sum.as_ref(), (index + 1 == layers.len()).then_some(total))?);
    }
    sum
}

/// The sum over the heads of a layer, added to that of the layers before it.
fn add(layer: &Tensor<4>, before: Option<&Tensor<3>>, divisor: Option<usize>) -> Option<Tensor<3>> {
    let shape @ [batch, heads, queries, keys] = layer.dims();
    let (kernel, has_before) = (Kernel { batch, heads, divisor }, before.is_some());
    let forward = |[probs, before]: [Primitive; 2], _| {
        let before = has_before.then(|| before.to_contiguous());
        let sum = kernel.forward(values(&probs.to_contiguous()), before.as_ref().map(values));
        (tensor(sum, [batch, queries, keys]), Some(()))
    };
    let backward = move |(), gradient: Primitive, _| {
        let by_sum = kernel.sum_gradient(values(&gradient.to_contiguous()));
        let by_probs = tensor(kernel.spread(&by_sum), shape);
        [Some(by_probs), Some(tensor(by_sum, [batch, queries, keys]))]
    };
    Some(run([Input::new(layer)?, Input::optional(before)?], forward, backward))
}
