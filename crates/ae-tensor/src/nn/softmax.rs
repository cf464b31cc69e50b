use std::ops::Range;

use burn::tensor::{Tensor, activation};

/// The softmax of some of the last dimension's elements, windows of them, of `scale * logits`.
///
/// # Shapes
/// - logits: `[.., classes]`
/// - output: `[.., classes in the windows]`
///
/// # Panics
///
/// Without a window.
pub fn softmax<const D: usize>(logits: Tensor<D>, windows: &[Range<usize>], scale: f64) -> Tensor<D> {
    #[cfg(feature = "cpu")]
    if let Some(probs) = super::cpu::softmax(&logits, windows, scale as f32) {
        return probs;
    }
    let logits = match windows {
        [window] => logits.narrow(D - 1, window.start, window.len()),
        windows => {
            let part = |window: &Range<usize>| logits.clone().narrow(D - 1, window.start, window.len());
            Tensor::cat(windows.iter().map(part).collect(), D - 1)
        }
    };
    activation::softmax(logits * scale, D - 1)
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use std::slice::from_ref;

    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;

    #[test]
    fn the_kernel_equals_burns_also_in_its_gradient() {
        let random = || Tensor::<3>::random([2, 7, 5], Distribution::Default, &Device::flex());
        // Turned: its rows do not lie side by side.
        let (whole, weights) = (random(), random().swap_dims(1, 2));
        for windows in [from_ref(&(0..7)), from_ref(&(1..6)), &[1..3, 4..7]] {
            let parts = |x: &Tensor<3>| {
                let part = |window: &Range<usize>| x.clone().narrow(2, window.start, window.len());
                Tensor::cat(windows.iter().map(part).collect(), 2)
            };
            let of = |softmax: &dyn Fn(Tensor<3>) -> Tensor<3>| {
                let input = whole.clone().autodiff().require_grad();
                let probs = softmax(input.clone().swap_dims(1, 2));
                let gradient = (probs.clone() * parts(&weights)).sum().backward();
                (probs.inner().into_data(), input.grad(&gradient).unwrap().into_data())
            };
            let (ours, burns) = (of(&|x| softmax(x, windows, 3.0)), of(&|x| activation::softmax(parts(&x) * 3.0, 2)));
            ours.0.assert_approx_eq(&burns.0, Tolerance::<f32>::rel_abs(1e-5, 1e-6));
            ours.1.assert_approx_eq(&burns.1, Tolerance::<f32>::rel_abs(1e-5, 1e-6));
        }
    }
}
