use ae_kernels::HeadSum as Kernel;
use burn::tensor::Tensor;

use super::operation::{Input, Operation, Primitive, run, sides, tensor, values};

/// The mean over the heads of several layers.
pub(in crate::nn) fn mean_over_heads(layers: &[Tensor<4>]) -> Option<Tensor<3>> {
    let total = layers.iter().map(|layer| layer.dims()[1]).sum();
    let mut sum = None;
    for (index, layer) in layers.iter().enumerate() {
        let operation = HeadSum { divisor: (index + 1 == layers.len()).then_some(total) };
        let input = Input::new(layer.clone())?;
        sum = Some(match sum {
            Some(sum) => run::<_, 2, 3>(&operation, [input, Input::new::<3>(sum)?]),
            None => run::<_, 1, 3>(&operation, [input]),
        });
    }
    sum
}

/// The sum over the heads of a layer, added to that of the layers before it.
#[derive(Clone, Debug)]
struct HeadSum {
    divisor: Option<usize>,
}

impl HeadSum {
    fn kernel(&self, [batch, heads, ..]: [usize; 4]) -> Kernel {
        Kernel { batch, heads, divisor: self.divisor }
    }

    fn compute(&self, probs: &Primitive, before: Option<&Primitive>) -> (Primitive, Option<[usize; 4]>) {
        let (probs, shape) = (probs.to_contiguous(), sides(probs));
        let sum = self.kernel(shape).forward(values(&probs), before.map(values));
        let [batch, _, queries, keys] = shape;
        (tensor(sum, [batch, queries, keys]), Some(shape))
    }

    /// The gradients by the sum before and by the probabilities.
    fn gradients(&self, shape: [usize; 4], gradient: &Primitive) -> (Primitive, Primitive) {
        let (kernel, [batch, _, queries, keys]) = (self.kernel(shape), shape);
        let by_sum = kernel.sum_gradient(values(&gradient.to_contiguous()));
        let by_probs = tensor(kernel.spread(&by_sum), shape);
        (tensor(by_sum, [batch, queries, keys]), by_probs)
    }
}

impl Operation<1> for HeadSum {
    type Saved = [usize; 4];

    fn forward(&self, [probs]: [Primitive; 1], _: bool) -> (Primitive, Option<[usize; 4]>) {
        self.compute(&probs, None)
    }

    fn backward(&self, shape: [usize; 4], gradient: Primitive, _: [bool; 1]) -> [Option<Primitive>; 1] {
        [Some(self.gradients(shape, &gradient).1)]
    }
}

impl Operation<2> for HeadSum {
    type Saved = [usize; 4];

    fn forward(&self, [probs, before]: [Primitive; 2], _: bool) -> (Primitive, Option<[usize; 4]>) {
        self.compute(&probs, Some(&before.to_contiguous()))
    }

    fn backward(&self, shape: [usize; 4], gradient: Primitive, _: [bool; 2]) -> [Option<Primitive>; 2] {
        let (by_sum, by_probs) = self.gradients(shape, &gradient);
        [Some(by_probs), Some(by_sum)]
    }
}
