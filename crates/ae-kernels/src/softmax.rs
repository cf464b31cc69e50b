use crate::functions::exp;
use crate::parallel::for_rows;
use crate::profile::{Kernel, counted};

/// `softmax(scale * input)` of every row.
///
/// # Shapes
/// - input and output: `[rows, width]`
///
/// # Panics
///
/// When the input does not consist of whole rows.
pub fn softmax(input: &[f32], width: usize, scale: f32) -> Vec<f32> {
    assert!(input.len().is_multiple_of(width), "softmax: rows of {width}");
    counted(Kernel::Attention, 0, || {
        let mut out = input.to_vec();
        for_rows!(&mut out, width, |_, out| {
            for row in out.chunks_exact_mut(width) {
                let mut largest = f32::NEG_INFINITY;
                for x in &*row {
                    largest = if *x * scale > largest { *x * scale } else { largest };
                }
                let mut sum = 0.0;
                for x in &mut *row {
                    *x = exp(*x * scale - largest);
                    sum += *x;
                }
                for x in &mut *row {
                    *x /= sum;
                }
            }
        });
        out
    })
}

/// The gradient of [`softmax`] by its input, from its output and the gradient by that.
///
/// # Shapes
/// - probabilities, gradient and output: `[rows, width]`
///
/// # Panics
///
/// When the sizes do not fit.
pub fn softmax_gradient(probabilities: &[f32], width: usize, scale: f32, gradient: &[f32]) -> Vec<f32> {
    assert!(probabilities.len().is_multiple_of(width), "softmax: rows of {width}");
    assert_eq!(probabilities.len(), gradient.len(), "softmax: gradient");
    counted(Kernel::Attention, 0, || {
        let mut out = gradient.to_vec();
        for_rows!(&mut out, width, |first, out| {
            let rows = probabilities[first * width..].chunks_exact(width);
            for (out, probabilities) in out.chunks_exact_mut(width).zip(rows) {
                let mut correlation = 0.0;
                for (probability, by_probability) in probabilities.iter().zip(&*out) {
                    correlation += probability * by_probability;
                }
                for (out, probability) in out.iter_mut().zip(probabilities) {
                    *out = probability * (*out - correlation) * scale;
                }
            }
        });
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, random};

    /// `(3 * torch.tensor([[1., 2., 0.], [-100., 100., 100.]])).softmax(1)`
    #[test]
    fn equals_torch() {
        let expected = [0.047_314_156, 0.950_330_2, 0.002_355_633, 0.0, 0.5, 0.5];
        assert_close(&softmax(&[1.0, 2.0, 0.0, -100.0, 100.0, 100.0], 3, 3.0), &expected, 1e-6);
        assert_eq!(softmax(&[], 3, 1.0), []);
    }

    #[test]
    fn the_gradient_is_the_slope() {
        let (width, scale) = (11, 2.5);
        let (input, weights) = (random(3 * width, 1), random(3 * width, 2));
        let loss = |input: &[f32]| {
            let terms = softmax(input, width, scale);
            terms.iter().zip(&weights).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
        };
        let gradient = softmax_gradient(&softmax(&input, width, scale), width, scale, &weights);
        for at in [0, 5, 10, 11, 32] {
            let moved = |by: f32| {
                let mut input = input.clone();
                input[at] += by;
                loss(&input)
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((slope - f64::from(gradient[at])).abs() < 1e-3, "{at}: {slope} and {}", gradient[at]);
        }
    }
}
