use super::operation::{Input, Primitive, run, tensor, values};
use ae_kernels::{Attended, Attention, AttentionInputs};
use burn::tensor::Tensor;
use std::sync::Arc;

/// Scaled dot-product attention of heads whose channels lie beside each other.
pub(in crate::nn) fn attention(
    query: &Tensor<3>,
    key: &Tensor<3>,
    value: &Tensor<3>,
    heads: usize,
) -> Option<Tensor<3>> {
    let (kernel, of_query, of_key) = (kernel(heads, query, key), query.dims(), key.dims());
    let forward = |inputs: [Primitive; 3], tracked: bool| {
        let inputs = inputs.map(|input| input.to_contiguous());
        let [query, key, value] = inputs.each_ref().map(values);
        let Attended { output, softmax } = kernel.forward(query, key, value);
        let output = tensor(output, of_query);
        let saved = tracked.then(|| (inputs, output.clone(), Arc::new(softmax)));
        (output, saved)
    };
    let backward = move |saved: ([Primitive; 3], Primitive, Arc<Vec<f32>>), gradient: Primitive, wanted: [bool; 3]| {
        let ([query, key, value], output, softmax) = &saved;
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
        let gradients = kernel.gradient(inputs, by_key || by_value);
        let (by_keys, by_values) = gradients.key_and_value.unzip();
        let gradient = |wanted: bool, values: Option<Vec<f32>>, shape: [usize; 3]| {
            values.filter(|_| wanted).map(|values| tensor(values, shape))
        };
        [
            gradient(by_query, Some(gradients.query), of_query),
            gradient(by_key, by_keys, of_key),
            gradient(by_value, by_values, of_key),
        ]
    };
    Some(run([Input::new(query)?, Input::new(key)?, Input::new(value)?], forward, backward))
}

/// The probabilities of such an attention.
pub(in crate::nn) fn attention_probs(query: &Tensor<3>, key: &Tensor<3>, heads: usize) -> Option<Tensor<4>> {
    let (kernel, of_query, of_key) = (kernel(heads, query, key), query.dims(), key.dims());
    let forward = |inputs: [Primitive; 2], _| {
        let [query, key] = inputs.map(|input| input.to_contiguous());
        let probs = kernel.probabilities(values(&query), values(&key));
        let probs = tensor(probs, [kernel.batch, kernel.heads, kernel.queries, kernel.keys]);
        (probs.clone(), Some([query, key, probs]))
    };
    let backward = move |saved: [Primitive; 3], gradient: Primitive, [by_query, by_key]: [bool; 2]| {
        let ([query, key, probs], gradient) = (saved.each_ref().map(values), gradient.to_contiguous());
        let (of_queries, of_keys) = kernel.probabilities_gradient(query, key, probs, values(&gradient), by_key);
        [by_query.then(|| tensor(of_queries, of_query)), of_keys.map(|of_keys| tensor(of_keys, of_key))]
    };
    Some(run([Input::new(query)?, Input::new(key)?], forward, backward))
}

fn kernel(heads: usize, query: &Tensor<3>, key: &Tensor<3>) -> Attention {
    let ([batch, queries, channels], [_, keys, _]) = (query.dims(), key.dims());
    let head_dim = channels / heads;
    Attention { batch, heads, queries, keys, head_dim, scale: (head_dim as f64).sqrt().recip() as f32 }
}
