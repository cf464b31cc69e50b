use crate::functions::{normal_cdf, normal_density, sigmoid};
use crate::parallel::for_rows;
use crate::profile::{Kernel, counted};

/// A function of every element.
macro_rules! of_each {
    ($input:ident, |$x:ident| $value:expr) => {
        counted(Kernel::Elementwise, 0, || {
            let mut out = vec![0.0; $input.len()];
            for_rows!(&mut out, 1, |first, out| {
                let input = &$input[first..first + out.len()];
                out.iter_mut().zip(input).for_each(|(out, &$x)| *out = $value);
            });
            out
        })
    };
}

/// `x * sigmoid(x)`, element by element.
pub fn silu(input: &[f32]) -> Vec<f32> {
    of_each!(input, |x| x * sigmoid(x))
}

/// The derivative of `x * sigmoid(x)`.
#[inline(always)]
pub(crate) fn silu_slope(x: f32) -> f32 {
    let s = sigmoid(x);
    s * (1.0 + x * (1.0 - s))
}

/// `x * normal_cdf(x)` of every element.
pub fn gelu(input: &[f32]) -> Vec<f32> {
    of_each!(input, |x| x * normal_cdf(x))
}

/// `x * sigmoid(1.702 x)` of every element, the approximation of the GELU in OpenAI's CLIP.
pub fn quick_gelu(input: &[f32]) -> Vec<f32> {
    of_each!(input, |x| x * sigmoid(1.702 * x))
}

/// The gated activation of diffusers' `GEGLU`: the first half of every row times the GELU of the second.
///
/// # Shapes
/// - input: `[rows, 2 * width]`
/// - output: `[rows, width]`
///
/// # Panics
///
/// When the input is not whole rows.
pub fn geglu(input: &[f32], width: usize) -> Vec<f32> {
    assert!(input.len().is_multiple_of(2 * width), "geglu: rows of two times {width}");
    counted(Kernel::Elementwise, 0, || {
        let mut out = vec![0.0; input.len() / 2];
        for_rows!(&mut out, width, |first, out| {
            let rows = input[first * 2 * width..].chunks_exact(2 * width);
            for (out, row) in out.chunks_exact_mut(width).zip(rows) {
                let (value, gate) = row.split_at(width);
                for ((out, value), gate) in out.iter_mut().zip(value).zip(gate) {
                    *out = value * gate * normal_cdf(*gate);
                }
            }
        });
        out
    })
}

/// The gradient of a loss by the input of [`geglu`], from that by its output.
///
/// # Shapes
/// - input and output: `[rows, 2 * width]`
/// - gradient: `[rows, width]`
///
/// # Panics
///
/// When the sizes do not fit together.
pub fn geglu_gradient(input: &[f32], gradient: &[f32], width: usize) -> Vec<f32> {
    assert_eq!(input.len(), 2 * gradient.len(), "geglu: gradient");
    counted(Kernel::Elementwise, 0, || {
        let mut out = vec![0.0; input.len()];
        for_rows!(&mut out, 2 * width, |first, out| {
            let rows = input[first * 2 * width..].chunks_exact(2 * width);
            let gradients = gradient[first * width..].chunks_exact(width);
            for ((out, row), gradient) in out.chunks_exact_mut(2 * width).zip(rows).zip(gradients) {
                let (value, gate) = row.split_at(width);
                let (by_value, by_gate) = out.split_at_mut(width);
                // In simple loops: the compiler makes vector instructions of them only while few arrays take part.
                for (by_value, gate) in by_value.iter_mut().zip(gate) {
                    *by_value = normal_cdf(*gate);
                }
                for (by_gate, gate) in by_gate.iter_mut().zip(gate) {
                    *by_gate = gate * normal_density(*gate);
                }
                for ((by_gate, cdf), value) in by_gate.iter_mut().zip(&*by_value).zip(value) {
                    *by_gate = value * (*by_gate + cdf);
                }
                for (by_value, gate) in by_value.iter_mut().zip(gate) {
                    *by_value *= gate;
                }
                for line in [by_value, by_gate] {
                    for (out, gradient) in line.iter_mut().zip(gradient) {
                        *out *= gradient;
                    }
                }
            }
        });
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, dot, finite_differences, random};

    /// `torch.nn.functional.silu(torch.tensor([-2., -.5, 0., 1., 3.]))`
    #[test]
    fn silu_is_torchs() {
        let expected = [-0.238_405_84, -0.188_770_33, 0.0, 0.731_058_6, 2.857_722_3];
        assert_close(&silu(&[-2.0, -0.5, 0.0, 1.0, 3.0]), &expected, 1e-6);
    }

    /// `v, g = torch.tensor([[1., -2., -1., .5]]).chunk(2, 1); v * torch.nn.functional.gelu(g)`
    #[test]
    fn geglu_is_torchs() {
        assert_close(&geglu(&[1.0, -2.0, -1.0, 0.5], 2), &[-0.158_655_26, -0.691_462_46], 1e-6);
    }

    #[test]
    fn the_gradient_is_that_of_differences() {
        let (rows, width) = (3, 5);
        let (input, weights) = (random(rows * 2 * width, 1), random(rows * width, 2));
        let expected = finite_differences(&input, 1e-2, |input| dot(&geglu(input, width), &weights));
        assert_close(&geglu_gradient(&input, &weights, width), &expected, 1e-3);
    }

    #[test]
    fn many_elements_are_computed_as_few() {
        let input = random(100_000, 3);
        let expected: Vec<f32> = input.chunks(1000).flat_map(silu).collect();
        assert_eq!(silu(&input), expected);
    }
}
