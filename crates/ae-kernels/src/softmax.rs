use std::ops::Range;

use crate::functions::exp;
use crate::parallel::for_rows;
use crate::profile::{Kernel, counted};

/// A softmax of some columns of every row, after a factor.
#[derive(Clone, Debug, PartialEq)]
pub struct Softmax {
    /// Columns of a row.
    pub width: usize,
    /// Those that take part, one window after the other.
    pub windows: Vec<Range<usize>>,
    /// The factor.
    pub scale: f32,
}

impl Softmax {
    /// Columns that take part.
    pub fn columns(&self) -> usize {
        self.windows.iter().map(ExactSizeIterator::len).sum()
    }

    /// `softmax(scale * input)` of every row.
    ///
    /// # Shapes
    /// - input: `[rows, width]`
    /// - output: `[rows, columns that take part]`
    ///
    /// # Panics
    ///
    /// When the input does not consist of whole rows, or has not all the columns.
    pub fn forward(&self, input: &[f32]) -> Vec<f32> {
        let Self { width, scale, .. } = *self;
        assert!(input.len().is_multiple_of(width), "softmax: rows of {width}");
        let columns = self.columns();
        counted(Kernel::Attention, 0, || {
            let mut out = Vec::with_capacity(input.len() / width * columns);
            for row in input.chunks_exact(width) {
                self.windows.iter().for_each(|window| out.extend_from_slice(&row[window.clone()]));
            }
            for_rows!(&mut out, columns, |_, out| {
                for row in out.chunks_exact_mut(columns) {
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

    /// The gradient of a loss by the input, from the output of [`forward`](Self::forward) and the gradient by that; zero for
    /// columns that take no part.
    ///
    /// # Shapes
    /// - probabilities, gradient: `[rows, columns that take part]`
    /// - output: `[rows, width]`
    ///
    /// # Panics
    ///
    /// When the sizes do not fit.
    pub fn input_gradient(&self, probabilities: &[f32], gradient: &[f32]) -> Vec<f32> {
        let (columns, width) = (self.columns(), self.width);
        assert!(probabilities.len().is_multiple_of(columns), "softmax: rows of {columns}");
        assert_eq!(probabilities.len(), gradient.len(), "softmax: gradient");
        counted(Kernel::Attention, 0, || {
            let mut out = vec![0.0; probabilities.len() / columns * width];
            for_rows!(&mut out, width, |first, out| {
                let rows = probabilities[first * columns..].chunks_exact(columns);
                let gradients = gradient[first * columns..].chunks_exact(columns);
                for ((out, probabilities), gradient) in out.chunks_exact_mut(width).zip(rows).zip(gradients) {
                    let mut correlation = 0.0;
                    for (probability, by_probability) in probabilities.iter().zip(gradient) {
                        correlation += probability * by_probability;
                    }
                    let mut place = 0;
                    for window in &self.windows {
                        let these = place..place + window.len();
                        let values = probabilities[these.clone()].iter().zip(&gradient[these]);
                        for (out, (probability, by_probability)) in out[window.clone()].iter_mut().zip(values) {
                            *out = probability * (by_probability - correlation) * self.scale;
                        }
                        place += window.len();
                    }
                }
            });
            out
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, random};

    fn of_all(width: usize, scale: f32) -> Softmax {
        Softmax { width, windows: std::iter::once(0..width).collect(), scale }
    }

    /// `(3 * torch.tensor([[1., 2., 0.], [-100., 100., 100.]])).softmax(1)`
    #[test]
    fn equals_torch() {
        let softmax = of_all(3, 3.0);
        let expected = [0.047_314_156, 0.950_330_2, 0.002_355_633, 0.0, 0.5, 0.5];
        assert_close(&softmax.forward(&[1.0, 2.0, 0.0, -100.0, 100.0, 100.0]), &expected, 1e-6);
        assert_eq!(softmax.forward(&[]), []);
    }

    #[test]
    fn columns_outside_the_windows_take_no_part() {
        let softmax = Softmax { width: 5, windows: vec![1..3, 4..5], scale: 3.0 };
        let whole = of_all(3, 3.0);
        let expected = whole.forward(&[1.0, 2.0, 0.0]);
        assert_eq!(softmax.forward(&[9.0, 1.0, 2.0, 9.0, 0.0]), expected);
        let gradient = whole.input_gradient(&expected, &[0.5, -1.0, 2.0]);
        let [a, b, c] = gradient.try_into().unwrap();
        assert_eq!(softmax.input_gradient(&expected, &[0.5, -1.0, 2.0]), [0.0, a, b, 0.0, c]);
    }

    #[test]
    fn the_gradient_is_the_slope() {
        let softmax = of_all(11, 2.5);
        let (input, weights) = (random(33, 1), random(33, 2));
        let loss = |input: &[f32]| {
            let terms = softmax.forward(input);
            terms.iter().zip(&weights).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
        };
        let gradient = softmax.input_gradient(&softmax.forward(&input), &weights);
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
