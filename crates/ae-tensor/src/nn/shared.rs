use std::array::from_fn;

use burn::tensor::Tensor;

/// A tensor for several uses, each of which is to have one.
///
/// It is the same as so many clones, but that the CPU adds their gradients by a kernel.
#[expect(clippy::needless_pass_by_value, reason = "whoever keeps it would have one use more")]
pub fn shared<const N: usize, const D: usize>(tensor: Tensor<D>) -> [Tensor<D>; N] {
    #[cfg(feature = "cpu")]
    if let Some(uses) = super::cpu::shared(&tensor) {
        return uses;
    }
    from_fn(|_| tensor.clone())
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    fn random() -> Tensor<2> {
        Tensor::random([5, 7], Distribution::Default, &Device::flex())
    }

    #[test]
    fn the_gradient_is_that_of_clones_bit_for_bit_also_where_a_use_is_left_out() {
        let (input, weights) = (random().autodiff().require_grad(), [random(), random(), random()]);
        let of = |uses: [Tensor<2>; 3], count| {
            let terms = uses.into_iter().zip(&weights).take(count).map(|(input, weight)| input * weight.clone());
            let loss = terms.reduce(|sum, term| sum + term).unwrap().sum();
            (input.grad(&loss.clone().backward()).unwrap().into_data(), loss.inner().into_data())
        };
        for count in 1..=3 {
            let inner = input.clone() * 1.5;
            let clones = from_fn(|_| inner.clone());
            assert_eq!(of(shared(input.clone() * 1.5), count), of(clones, count), "{count} uses");
        }
    }

    #[test]
    fn a_tensor_without_a_gradient_stays_as_it_is() {
        let tensor = random();
        for one in shared::<2, 2>(tensor.clone()) {
            assert!(!one.is_autodiff());
            assert_eq!(one.into_data(), tensor.to_data());
        }
    }
}
