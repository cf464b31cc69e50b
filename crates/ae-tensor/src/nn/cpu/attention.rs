use super::operation::{Input, Primitive, constant, run, tensor, values};
use ae_kernels::{Attended, Attention, AttentionInputs};
use burn::backend::Flex;
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

/// What is seen with given probabilities.
pub(in crate::nn) fn attention_values(probs: &Tensor<4>, value: &Tensor<3>) -> Option<Tensor<3>> {
    let ([batch, heads, queries, keys], of_value @ [.., channels]) = (probs.dims(), value.dims());
    let kernel = Attention { batch, heads, queries, keys, head_dim: channels / heads, scale: 1.0 };
    let forward = |inputs: [Primitive; 2], _| {
        let inputs = inputs.map(|input| input.to_contiguous());
        let [probs, value] = inputs.each_ref().map(values);
        (tensor(kernel.values(probs, value), [batch, queries, channels]), Some(inputs))
    };
    let backward = move |inputs: [Primitive; 2], gradient: Primitive, [by_probs, by_value]: [bool; 2]| {
        let ([probs, value], gradient) = (inputs.each_ref().map(values), gradient.to_contiguous());
        let gradient = values(&gradient);
        let of_probs = || kernel.values_gradient_by_probabilities(value, gradient);
        let of_values = || kernel.values_gradient_by_value(probs, gradient);
        [
            by_probs.then(|| tensor(of_probs(), [batch, heads, queries, keys])),
            by_value.then(|| tensor(of_values(), of_value)),
        ]
    };
    Some(run([Input::new(probs)?, Input::new(value)?], forward, backward))
}

/// The attention of a sequence to itself; a causal one has no gradient.
pub(in crate::nn) fn self_attention(
    query: &Tensor<3>,
    key: &Tensor<3>,
    value: &Tensor<3>,
    heads: usize,
    is_causal: bool,
) -> Option<Tensor<3>> {
    if !is_causal {
        return attention(query, key, value, heads);
    }
    let kernel = kernel(heads, query, key);
    let [query, key, value] = [constant(query)?, constant(key)?, constant(value)?];
    let output = kernel.causal(values(&query), values(&key), values(&value));
    let shape = [kernel.batch, kernel.queries, kernel.heads * kernel.head_dim];
    Some(Tensor::from_primitive::<Flex>(tensor(output, shape)))
}

fn kernel(heads: usize, query: &Tensor<3>, key: &Tensor<3>) -> Attention {
    let ([batch, queries, channels], [_, keys, _]) = (query.dims(), key.dims());
    let head_dim = channels / heads;
    Attention { batch, heads, queries, keys, head_dim, scale: (head_dim as f64).sqrt().recip() as f32 }
}
