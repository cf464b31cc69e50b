use super::operation::{Input, Primitive, constant, run, sides, tensor, values};
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
    let kernel = kernel(heads, query, key);
    let forward = |inputs: [Primitive; 3], _| {
        let inputs = inputs.map(|input| input.to_contiguous());
        let seen = Seen::new(kernel, &inputs);
        (seen.output.clone(), Some((inputs, seen)))
    };
    let backward = move |(inputs, seen): ([Primitive; 3], Seen), gradient: Primitive, wanted| {
        seen.gradients(kernel, &inputs, &gradient, wanted)
    };
    Some(run([Input::new(query)?, Input::new(key)?, Input::new(value)?], forward, backward))
}

/// The attention of queries, keys and values that `project` makes of an input, and makes again in the backward pass.
pub(in crate::nn) fn recomputed_attention(
    input: &Tensor<3>,
    project: impl Fn(Tensor<3>) -> [Tensor<3>; 3] + Send + 'static,
    heads: usize,
) -> Option<Tensor<3>> {
    let tracked = Input::new(input)?;
    let projected = project(input.clone().inner());
    let kernel = kernel(heads, &projected[0], &projected[1]);
    let [query, key, value] = projected.each_ref().map(constant);
    let projected = [query?, key?, value?];
    let forward = |[input]: [Primitive; 1], _| {
        let seen = Seen::new(kernel, &projected);
        (seen.output.clone(), Some((input, seen)))
    };
    let backward = move |(input, seen): (Primitive, Seen), gradient: Primitive, _| {
        let input = Tensor::<3>::from_primitive::<Flex>(input).autodiff().require_grad();
        let projected = project(input.clone()).map(|tensor| Input::new(&tensor).expect("as in the forward pass"));
        // The end of a graph of its own, where the attention would have stood.
        let end = |projected: [Primitive; 3], _| {
            (tensor(vec![0.0], [1]), Some(projected.map(|projected| projected.to_contiguous())))
        };
        let of_attention =
            move |projected: [Primitive; 3], _, wanted| seen.gradients(kernel, &projected, &gradient, wanted);
        let end: Tensor<1> = run(projected, end, of_attention);
        let gradient = input.grad_remove(&mut end.backward());
        [gradient.and_then(|gradient| gradient.try_into_primitive::<Flex>().ok())]
    };
    Some(run([tracked], forward, backward))
}

/// An attention that was computed, as far as its gradient takes it.
#[derive(Clone, Debug)]
struct Seen {
    output: Primitive,
    softmax: Arc<Vec<f32>>,
}

impl Seen {
    fn new(kernel: Attention, inputs: &[Primitive; 3]) -> Self {
        let [query, key, value] = inputs.each_ref().map(values);
        let Attended { output, softmax } = kernel.forward(query, key, value);
        let output = tensor(output, [kernel.batch, kernel.queries, kernel.heads * kernel.head_dim]);
        Self { output, softmax: Arc::new(softmax) }
    }

    /// The gradients by query, key and value from that by the output.
    fn gradients(
        &self,
        kernel: Attention,
        inputs: &[Primitive; 3],
        gradient: &Primitive,
        [by_query, by_key, by_value]: [bool; 3],
    ) -> [Option<Primitive>; 3] {
        let [query, key, value] = inputs.each_ref().map(values);
        let (output, softmax, gradient) = (values(&self.output), &self.softmax, gradient.to_contiguous());
        let attended = AttentionInputs { query, key, value, output, softmax, gradient: values(&gradient) };
        let gradients = kernel.gradient(attended, by_key || by_value);
        let (by_keys, by_values) = gradients.key_and_value.unzip();
        let gradient = |wanted: bool, values: Option<Vec<f32>>, of: &Primitive| {
            values.filter(|_| wanted).map(|values| tensor(values, sides::<3>(of)))
        };
        [
            gradient(by_query, Some(gradients.query), &inputs[0]),
            gradient(by_key, by_keys, &inputs[1]),
            gradient(by_value, by_values, &inputs[2]),
        ]
    }
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
