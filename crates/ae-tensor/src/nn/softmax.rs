use burn::tensor::{Tensor, activation};

/// The softmax of the last dimension of `scale * logits`.
///
/// # Shapes
/// - logits and output: `[.., classes]`
pub fn softmax<const D: usize>(logits: Tensor<D>, scale: f64) -> Tensor<D> {
    #[cfg(feature = "cpu")]
    if let Some(probs) = super::cpu::softmax(&logits, scale as f32) {
        return probs;
    }
    activation::softmax(logits * scale, D - 1)
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;

    #[test]
    fn the_kernel_equals_burns_also_in_its_gradient() {
        let random = || Tensor::<3>::random([2, 5, 7], Distribution::Default, &Device::flex());
        // A part of a tensor: its rows do not lie side by side.
        let (whole, weights) = (random(), random().narrow(2, 1, 5));
        let of = |softmax: &dyn Fn(Tensor<3>) -> Tensor<3>| {
            let input = whole.clone().autodiff().require_grad();
            let probs = softmax(input.clone().narrow(2, 1, 5));
            let gradient = (probs.clone() * weights.clone()).sum().backward();
            (probs.inner().into_data(), input.grad(&gradient).unwrap().into_data())
        };
        let (ours, burns) = (of(&|x| softmax(x, 3.0)), of(&|x| activation::softmax(x * 3.0, 2)));
        ours.0.assert_approx_eq(&burns.0, Tolerance::<f32>::rel_abs(1e-5, 1e-6));
        ours.1.assert_approx_eq(&burns.1, Tolerance::<f32>::rel_abs(1e-5, 1e-6));
    }
}
