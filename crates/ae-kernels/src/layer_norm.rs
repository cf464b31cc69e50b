use crate::parallel::for_rows;
use crate::profile::{Kernel, counted};

/// Every row less its mean, divided by its standard deviation, times `gamma` plus `beta`.
///
/// # Shapes
/// - input and output: `[rows, width]`, where `gamma` and `beta` are `width` long
///
/// # Panics
///
/// When the sizes do not fit together.
pub fn layer_norm(input: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32) -> Vec<f32> {
    let width = gamma.len();
    assert_eq!(beta.len(), width, "layer_norm: beta");
    assert!(input.len().is_multiple_of(width), "layer_norm: rows of {width}");
    counted(Kernel::Normalisation, 0, || {
        let mut out = vec![0.0; input.len()];
        for_rows!(&mut out, width, |first, out| {
            let rows = input[first * width..].chunks_exact(width);
            for (out, row) in out.chunks_exact_mut(width).zip(rows) {
                let (mean, scale) = statistics(row, epsilon);
                let parameters = gamma.iter().zip(beta);
                for ((out, x), (gamma, beta)) in out.iter_mut().zip(row).zip(parameters) {
                    *out = (x - mean) * scale * gamma + beta;
                }
            }
        });
        out
    })
}

/// The gradient of a loss by the input of [`layer_norm`], from that by its output.
///
/// # Shapes
/// - input, gradient and output: `[rows, width]`
///
/// # Panics
///
/// When the sizes do not fit together.
pub fn layer_norm_gradient(input: &[f32], gamma: &[f32], epsilon: f32, gradient: &[f32]) -> Vec<f32> {
    let width = gamma.len();
    assert_eq!(input.len(), gradient.len(), "layer_norm: gradient");
    counted(Kernel::Normalisation, 0, || {
        let mut out = vec![0.0; input.len()];
        for_rows!(&mut out, width, |first, out| {
            let rows = input[first * width..].chunks_exact(width);
            let gradients = gradient[first * width..].chunks_exact(width);
            for ((out, row), gradient) in out.chunks_exact_mut(width).zip(rows).zip(gradients) {
                let (mean, scale) = statistics(row, epsilon);
                for ((out, gamma), gradient) in out.iter_mut().zip(gamma).zip(gradient) {
                    *out = gamma * gradient;
                }
                let total = sum!(out, out, |by_normed, _| by_normed);
                let correlated = sum!(row, out, |x, by_normed| (x - mean) * by_normed);
                let (shift, slope) = (total / width as f32, correlated / width as f32 * scale * scale);
                for (out, x) in out.iter_mut().zip(row) {
                    *out = scale * (*out - shift - slope * (x - mean));
                }
            }
        });
        out
    })
}

/// Mean and reciprocal standard deviation.
#[inline(always)]
fn statistics(row: &[f32], epsilon: f32) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = sum!(row, row, |x, _| x) / count;
    let variance = sum!(row, row, |x, _| (x - mean) * (x - mean)) / count;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// The sum of a function of two rows' elements, in as many parts as a vector has.
#[inline(always)]
fn sum_of(row: &[f32], other: &[f32], value: impl Fn(f32, f32) -> f32) -> f32 {
    const PARTS: usize = 32;
    let mut sums = [0.0_f32; PARTS];
    let (rows, others) = (row.chunks_exact(PARTS), other.chunks_exact(PARTS));
    let (last, other_last) = (rows.remainder(), others.remainder());
    for (x, y) in rows.zip(others) {
        for i in 0..PARTS {
            sums[i] += value(x[i], y[i]);
        }
    }
    for (i, (x, y)) in last.iter().zip(other_last).enumerate() {
        sums[i] += value(*x, *y);
    }
    let mut width = PARTS / 2;
    while width > 0 {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
        width /= 2;
    }
    sums[0]
}

macro_rules! sum {
    ($row:expr, $other:expr, $value:expr) => {
        sum_of(
            $row,
            $other,
            #[inline(always)]
            $value,
        )
    };
}
use sum;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, dot, finite_differences, random};

    /// `torch.nn.functional.layer_norm(torch.tensor([[1., 2., 4.]]), (3,), torch.tensor([1., 2., 3.]), torch.ones(3))`
    #[test]
    fn it_is_torchs() {
        let actual = layer_norm(&[1.0, 2.0, 4.0], &[1.0, 2.0, 3.0], &[1.0; 3], 1e-5);
        assert_close(&actual, &[-0.069_042_4, 0.465_479_1, 5.008_890_6], 1e-5);
    }

    #[test]
    fn the_gradient_is_that_of_differences() {
        let width = 21;
        let (input, weights) = (random(2 * width, 1), random(2 * width, 2));
        let (gamma, beta) = (random(width, 3), random(width, 4));
        let loss = |input: &[f32]| dot(&layer_norm(input, &gamma, &beta, 1e-5), &weights);
        let expected = finite_differences(&input, 1e-2, loss);
        assert_close(&layer_norm_gradient(&input, &gamma, 1e-5, &weights), &expected, 2e-3);
    }
}
