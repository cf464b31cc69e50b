use ae_kernels::Attention as Kernel;
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
    Some(run(Attention { heads }, inputs))
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

impl Operation<3> for Attention {
    type Saved = [Primitive; 3];

    fn forward(&self, inputs: [Primitive; 3], _: bool) -> (Primitive, Option<Self::Saved>) {
        let inputs = inputs.map(|input| input.to_contiguous());
        let [query, key, value] = &inputs;
        let output = self.kernel(query, key).forward(values(query), values(key), values(value));
        (tensor(output, sides::<3>(query)), Some(inputs))
    }

    fn backward(&self, inputs: Self::Saved, gradient: Primitive, wanted: [bool; 3]) -> [Option<Primitive>; 3] {
        let [query, key, value] = &inputs;
        let [by_query, by_key, by_value] = wanted;
        let gradients = self.kernel(query, key).gradient(
            values(query),
            values(key),
            values(value),
            values(&gradient.to_contiguous()),
            by_key || by_value,
        );
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
