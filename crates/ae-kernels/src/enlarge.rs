use crate::Pictures;
use crate::profile::{Kernel, counted};
use crate::source::{Rows, Source};

/// An enlargement by nearest neighbours: pixel `i` of `n` is pixel `i * m / n`, rounded down, of the `m` there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enlargement {
    /// What is enlarged.
    pub from: Pictures,
    /// Rows of the result.
    pub rows: usize,
    /// Columns of the result.
    pub columns: usize,
    /// Channels.
    pub channels: usize,
}

impl Enlargement {
    /// # Shapes
    /// - input: `[batch, from.rows, from.columns, channels]`
    /// - output: `[batch, rows, columns, channels]`
    ///
    /// # Panics
    ///
    /// When the input has another size.
    pub fn forward(&self, input: &[f32]) -> Vec<f32> {
        let Self { from: Pictures { batch, .. }, rows, columns, channels } = *self;
        let size = Pictures { batch, rows, columns };
        let enlarged = Rows::new(Source::Enlarged { map: input, enlargement: *self }, size, channels);
        counted(Kernel::Elementwise, 0, || {
            let mut out = vec![0.0; size.pixels() * channels];
            enlarged.fill(0, &mut out);
            out
        })
    }

    /// Writes a row of the result; rows are counted over all pictures.
    #[inline(always)]
    pub(crate) fn copy(&self, input: &[f32], row: usize, out: &mut [f32]) {
        let channels = self.channels;
        for (column, out) in out.chunks_exact_mut(channels).enumerate() {
            out.copy_from_slice(&input[self.source(row, column) * channels..][..channels]);
        }
    }

    /// The gradient of a loss by the input, from that by the output.
    ///
    /// # Shapes
    /// - gradient: `[batch, rows, columns, channels]`
    /// - output: `[batch, from.rows, from.columns, channels]`
    ///
    /// # Panics
    ///
    /// When the gradient has another size.
    pub fn input_gradient(&self, gradient: &[f32]) -> Vec<f32> {
        let Self { from, rows, columns, channels } = *self;
        assert_eq!(gradient.len(), from.batch * rows * columns * channels, "enlargement: gradient");
        counted(Kernel::Elementwise, 0, || {
            let mut out = vec![0.0; from.pixels() * channels];
            for (pixel, values) in gradient.chunks_exact(channels).enumerate() {
                let at = self.source(pixel / columns, pixel % columns) * channels;
                out[at..][..channels].iter_mut().zip(values).for_each(|(out, value)| *out += value);
            }
            out
        })
    }

    /// The pixel that one of the result repeats; lines are counted over all pictures.
    #[inline(always)]
    fn source(&self, line: usize, column: usize) -> usize {
        let Self { from, rows, columns, .. } = self;
        let source = line / rows * from.rows + line % rows * from.rows / rows;
        source * from.columns + column * from.columns / columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{dot, random};

    /// `torch.nn.functional.interpolate(torch.arange(6.).reshape(1, 1, 2, 3), size=(3, 5))`
    #[test]
    fn it_is_torchs() {
        let from = Pictures { batch: 1, rows: 2, columns: 3 };
        let enlargement = Enlargement { from, rows: 3, columns: 5, channels: 1 };
        let expected = [0.0, 0.0, 1.0, 1.0, 2.0, 0.0, 0.0, 1.0, 1.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0];
        assert_eq!(enlargement.forward(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]), expected);
    }

    #[test]
    fn the_gradient_is_the_transposed_enlargement() {
        let from = Pictures { batch: 2, rows: 3, columns: 4 };
        let enlargement = Enlargement { from, rows: 6, columns: 7, channels: 5 };
        let (input, gradient) = (random(2 * 3 * 4 * 5, 1), random(2 * 6 * 7 * 5, 2));
        let forwards = dot(&enlargement.forward(&input), &gradient);
        assert!((forwards - dot(&input, &enlargement.input_gradient(&gradient))).abs() < 1e-4);
    }
}
