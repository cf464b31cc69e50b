use std::sync::Arc;

use ae_kernels::{Attended, Attention as Kernel, AttentionInputs};
use burn::tensor::Tensor;

use super::operation::{Input, Operation, Primitive, run, sides, tensor, values};

/// Scaled dot-product attention of heads whose channels lie beside each other.
pub(in crate::nn) fn attention(
    query: &Tensor<3>,
    key: &Tensor<3>,
    value: &Tensor<3>,
    heads: usize,
) -> Option<Tensor<3>> {
    let inputs = [Input::new(query.clone())?, Input::new(key.clone())?, Input::new(value.clone())?];
    Some(run(&Attention { heads }, inputs))
}

#[derive(Clone, Debug)]
struct Attention {
    heads: usize,
}

impl Attention {
    fn kernel(&self, query: &Primitive, key: &Primitive) -> Kernel {
        let ([batch, queries, channels], [_, keys, _]) = (sides(query), sides(key));
        let (heads, head_dim) = (self.heads, channels / self.heads);
        Kernel { batch, heads, queries, keys, head_dim, scale: (head_dim as f64).sqrt().recip() as f32 }
    }
}

/// Queries, keys, values, and what became of them.
#[derive(Clone, Debug)]
struct Saved {
    inputs: [Primitive; 3],
    output: Primitive,
    softmax: Arc<Vec<f32>>,
}

impl Operation<3> for Attention {
    type Saved = Saved;

    fn forward(&self, inputs: [Primitive; 3], tracked: bool) -> (Primitive, Option<Saved>) {
        let inputs = inputs.map(|input| input.to_contiguous());
        let [query, key, value] = &inputs;
        let Attended { output, softmax } = self.kernel(query, key).forward(values(query), values(key), values(value));
        let output = tensor(output, sides::<3>(query));
        let saved = tracked.then(|| Saved { inputs, output: output.clone(), softmax: Arc::new(softmax) });
        (output, saved)
    }

    fn backward(&self, saved: Saved, gradient: Primitive, wanted: [bool; 3]) -> [Option<Primitive>; 3] {
        let Saved { inputs: [query, key, value], output, softmax } = &saved;
        let [by_query, by_key, by_value] = wanted;
        let gradient = gradient.to_contiguous();
        let inputs = AttentionInputs {
            query: values(query),
            key: values(key),
            value: values(value),
            output: values(output),
            softmax,
            gradient: values(&gradient),
        };
        let gradients = self.kernel(query, key).gradient(inputs, by_key || by_value);
        let (of_key, of_value) = gradients.key_and_value.unzip();
        let gradient = |wanted: bool, values: Option<Vec<f32>>, like: &Primitive| {
            values.filter(|_| wanted).map(|values| tensor(values, sides::<3>(like)))
        };
        [
            gradient(by_query, Some(gradients.query), query),
            gradient(by_key, of_key, key),
            gradient(by_value, of_value, value),
        ]
    }
}
