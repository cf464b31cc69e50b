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

/// The probabilities of such an attention.
pub(in crate::nn) fn attention_probs(query: &Tensor<3>, key: &Tensor<3>, heads: usize) -> Option<Tensor<4>> {
    Some(run(&Probabilities { heads }, [Input::new(query.clone())?, Input::new(key.clone())?]))
}

fn kernel(heads: usize, query: &Primitive, key: &Primitive) -> Kernel {
    let ([batch, queries, channels], [_, keys, _]) = (sides(query), sides(key));
    let head_dim = channels / heads;
    Kernel { batch, heads, queries, keys, head_dim, scale: (head_dim as f64).sqrt().recip() as f32 }
}

#[derive(Clone, Debug)]
struct Attention {
    heads: usize,
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
        let Attended { output, softmax } =
            kernel(self.heads, query, key).forward(values(query), values(key), values(value));
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
        let gradients = kernel(self.heads, query, key).gradient(inputs, by_key || by_value);
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

#[derive(Clone, Debug)]
struct Probabilities {
    heads: usize,
}

impl Operation<2> for Probabilities {
    /// Queries, keys and the probabilities.
    type Saved = [Primitive; 3];

    fn forward(&self, inputs: [Primitive; 2], _: bool) -> (Primitive, Option<Self::Saved>) {
        let [query, key] = inputs.map(|input| input.to_contiguous());
        let kernel = kernel(self.heads, &query, &key);
        let probs = kernel.probabilities(values(&query), values(&key));
        let probs = tensor(probs, [kernel.batch, kernel.heads, kernel.queries, kernel.keys]);
        (probs.clone(), Some([query, key, probs]))
    }

    fn backward(&self, saved: Self::Saved, gradient: Primitive, wanted: [bool; 2]) -> [Option<Primitive>; 2] {
        let ([query, key, probs], [by_query, by_key]) = (&saved, wanted);
        let gradient = gradient.to_contiguous();
        let (of_query, of_key) = kernel(self.heads, query, key).probabilities_gradient(
            values(query),
            values(key),
            values(probs),
            values(&gradient),
            by_key,
        );
        [by_query.then(|| tensor(of_query, sides::<3>(query))), of_key.map(|of_key| tensor(of_key, sides::<3>(key)))]
    }
}
