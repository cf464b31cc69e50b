//! Activations of every element; in a network on the CPU without a gradient by a kernel.

use burn::tensor::{Tensor, activation};

/// `x * sigmoid(x)`
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "cpu")]
    if let Some(output) = super::cpu::elementwise(&x, ae_kernels::silu) {
        return output;
    }
    activation::silu(x)
}

/// The exact GELU.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "cpu")]
    if let Some(output) = super::cpu::elementwise(&x, ae_kernels::gelu) {
        return output;
    }
    activation::gelu(x)
}

/// `x * sigmoid(1.702 x)`, the GELU of OpenAI's CLIP.
pub fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "cpu")]
    if let Some(output) = super::cpu::elementwise(&x, ae_kernels::quick_gelu) {
        return output;
    }
    x.clone() * activation::sigmoid(x * 1.702)
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;

    #[test]
    fn the_kernels_equal_burns_and_where_there_is_a_gradient_it_is_kept() {
        // Turned: its elements do not lie in their order.
        let x = Tensor::<2>::random([40, 30], Distribution::Normal(0.0, 3.0), &Device::flex()).transpose();
        for activation in [silu::<2>, gelu::<2>, quick_gelu::<2>] {
            let tracked = x.clone().autodiff().require_grad();
            let of_burn = activation(tracked.clone());
            assert!(tracked.grad(&of_burn.clone().sum().backward()).is_some());
            let expected = of_burn.inner().into_data();
            activation(x.clone()).into_data().assert_approx_eq(&expected, Tolerance::<f32>::rel_abs(1e-5, 1e-6));
        }
    }
}
