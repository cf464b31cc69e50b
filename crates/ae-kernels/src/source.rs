use std::ops::Range;

use crate::group_norm::{Line, normalise};
use crate::parallel::for_rows;
use crate::scratch::Scratch;
use crate::{Enlargement, GroupNorm, Pictures, Statistics};

/// The feature map that a [`Conv2d`](crate::Conv2d) takes: one that lies in memory, or the output of another layer, of which only
/// the rows that are needed next exist.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A map as it lies, `[batch, rows, columns, channels]`.
    Map(&'a [f32]),
    /// A map that is normalised.
    Normed {
        /// What is normalised, `[batch, rows, columns, channels]`.
        map: &'a [f32],
        /// The normalisation.
        norm: GroupNorm<'a>,
        /// Those of the whole map.
        statistics: &'a Statistics,
    },
    /// A map that is enlarged.
    Enlarged {
        /// What is enlarged, `[batch, enlargement.from.rows, enlargement.from.columns, channels]`.
        map: &'a [f32],
        /// The enlargement.
        enlargement: Enlargement,
    },
}

/// The rows of a source, counted over all its pictures.
pub(crate) struct Rows<'a> {
    source: Source<'a>,
    /// Elements of a row.
    pub(crate) line: usize,
    /// Rows of a picture.
    of_picture: usize,
    /// Factors and summands of a normalisation, by picture.
    normalising: Vec<Line>,
}

impl<'a> Rows<'a> {
    /// # Panics
    ///
    /// When the source has another size.
    pub(crate) fn new(source: Source<'a>, size: Pictures, channels: usize) -> Self {
        let (map, there) = match source {
            Source::Map(map) => (map, size),
            Source::Normed { map, norm, .. } => {
                assert_eq!(norm.gamma.len(), channels, "channels of the normalisation");
                (map, size)
            }
            Source::Enlarged { map, enlargement: Enlargement { from, rows, columns, channels: same } } => {
                let to = (from.batch, rows, columns, same);
                assert_eq!(to, (size.batch, size.rows, size.columns, channels), "what is enlarged");
                (map, from)
            }
        };
        assert_eq!(map.len(), there.pixels() * channels, "feature map: {there:?} of {channels} channels");
        let normalising = match source {
            Source::Normed { norm, statistics, .. } => (0..size.batch).map(|i| norm.line(statistics, i)).collect(),
            _ => Vec::new(),
        };
        Self { source, line: size.columns * channels, of_picture: size.rows, normalising }
    }

    /// Writes a row.
    #[inline(always)]
    pub(crate) fn copy(&self, row: usize, out: &mut [f32]) {
        match self.source {
            Source::Map(map) => out.copy_from_slice(&map[row * self.line..][..self.line]),
            Source::Normed { map, norm, .. } => {
                let line = &self.normalising[row / self.of_picture];
                normalise(&map[row * self.line..][..self.line], line, norm.silu, out);
            }
            Source::Enlarged { map, enlargement } => enlargement.copy(map, row, out),
        }
    }

    /// Writes whole rows from `first` on.
    pub(crate) fn fill(&self, first: usize, out: &mut [f32]) {
        for_rows!(out, self.line, |from, out| {
            for (row, out) in out.chunks_exact_mut(self.line).enumerate() {
                self.copy(first + from + row, out);
            }
        });
    }
}

/// A band of rows that moves over a source from its top to its bottom. A row is formed once.
pub(crate) struct Band<'a> {
    rows: Rows<'a>,
    scratch: Scratch,
    held: Range<usize>,
}

impl<'a> Band<'a> {
    /// A band of at most so many rows.
    pub(crate) fn new(rows: Rows<'a>, most: usize) -> Self {
        let scratch = Scratch::new(if matches!(rows.source, Source::Map(_)) { 0 } else { most * rows.line });
        Self { rows, scratch, held: 0..0 }
    }

    /// The elements of `rows`, which begin no earlier than those before.
    pub(crate) fn at(&mut self, rows: Range<usize>) -> &[f32] {
        let line = self.rows.line;
        if let Source::Map(map) = self.rows.source {
            return &map[rows.start * line..rows.end * line];
        }
        let kept = rows.start.min(self.held.end)..self.held.end;
        self.scratch.copy_within((kept.start - self.held.start) * line..(kept.end - self.held.start) * line, 0);
        self.rows.fill(rows.start.max(kept.end), &mut self.scratch[kept.len() * line..rows.len() * line]);
        self.held = rows.clone();
        &self.scratch[..rows.len() * line]
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::Conv2d;
    use crate::testing::random;

    const GROUPS: usize = 2;

    /// Channels in and out, kernel, stride, padding, batch, rows, columns.
    type Case = (usize, usize, [usize; 2], usize, [usize; 4], usize, usize, usize);

    const CASES: [Case; 12] = [
        // By Winograd's algorithm, in one band: odd sizes, a single row, a single column.
        (16, 20, [3, 3], 1, [1; 4], 1, 13, 11),
        (18, 16, [3, 3], 1, [1; 4], 3, 9, 18),
        (16, 16, [3, 3], 1, [1; 4], 1, 1, 129),
        (16, 17, [3, 3], 1, [1; 4], 3, 50, 1),
        // In bands, whose borders do not fall on those of the pictures.
        (230, 16, [3, 3], 1, [1; 4], 3, 13, 130),
        (230, 16, [3, 3], 1, [1; 4], 1, 37, 131),
        // As a matrix product, in one band and in several.
        (6, 3, [3, 3], 1, [1; 4], 3, 7, 5),
        (4, 20, [3, 3], 1, [1; 4], 1, 1, 9),
        (20, 18, [3, 3], 2, [1; 4], 3, 13, 16),
        (6, 4, [3, 3], 2, [0, 0, 1, 1], 1, 8, 10),
        (64, 3, [3, 3], 2, [0, 0, 1, 1], 3, 149, 152),
        // As a matrix product of the whole.
        (6, 5, [1, 1], 1, [0; 4], 3, 5, 7),
    ];

    fn with_cases(check: impl Fn(&Conv2d<'_>, Pictures)) {
        for (inputs, outputs, kernel, stride, padding, batch, rows, columns) in CASES {
            let weight = random(outputs * inputs * kernel[0] * kernel[1], 1);
            let weight = weight.as_slice().into();
            let conv = Conv2d { weight, outputs, inputs, kernel, stride, padding, prepared: None };
            check(&conv, Pictures { batch, rows, columns });
        }
    }

    /// A convolution of a source is, bit by bit, that of the map it stands for.
    fn assert_same(conv: &Conv2d<'_>, source: Source<'_>, map: &[f32], size: Pictures) {
        let bias = random(conv.outputs, 2);
        let residual = random(conv.output(size).pixels() * conv.outputs, 3);
        let expected = conv.forward(map, size, Some(&bias), Some(&residual));
        for residual in [Cow::Borrowed(residual.as_slice()), Cow::Owned(residual.clone())] {
            assert!(conv.forward_from(source, size, Some(&bias), Some(residual)) == expected, "{conv:?} of {size:?}");
        }
        assert!(conv.forward_from(source, size, None, None) == conv.forward(map, size, None, None));
    }

    #[test]
    fn a_convolution_of_a_normalised_map_is_that_of_the_whole_bit_for_bit() {
        with_cases(|conv, size| {
            let (gamma, beta) = (random(conv.inputs, 4), random(conv.inputs, 5));
            let map = random(size.pixels() * conv.inputs, 6);
            for silu in [false, true] {
                let norm = GroupNorm { gamma: &gamma, beta: &beta, groups: GROUPS, epsilon: 1e-6, silu };
                let statistics = norm.statistics(&map, size);
                let normed = norm.forward(&map, size, &statistics);
                assert_same(conv, Source::Normed { map: &map, norm, statistics: &statistics }, &normed, size);
            }
        });
    }

    #[test]
    fn a_convolution_of_an_enlarged_map_is_that_of_the_whole_bit_for_bit() {
        with_cases(|conv, size| {
            let Pictures { batch, rows, columns } = size;
            let from = Pictures { batch, rows: rows.div_ceil(2), columns: columns.div_ceil(2) };
            let map = random(from.pixels() * conv.inputs, 7);
            let enlargement = Enlargement { from, rows, columns, channels: conv.inputs };
            assert_same(conv, Source::Enlarged { map: &map, enlargement }, &enlargement.forward(&map), size);
        });
    }

    #[test]
    fn a_residual_that_is_owned_becomes_the_output() {
        let (size, weight) = (Pictures { batch: 1, rows: 20, columns: 20 }, random(16 * 16 * 9, 1));
        let conv = Conv2d {
            weight: (&*weight).into(),
            outputs: 16,
            inputs: 16,
            kernel: [3, 3],
            stride: 1,
            padding: [1; 4],
            prepared: None,
        };
        let (input, residual) = (random(size.pixels() * 16, 2), random(size.pixels() * 16, 3));
        let place = residual.as_ptr();
        let output = conv.forward_from(Source::Map(&input), size, None, Some(Cow::Owned(residual)));
        assert_eq!(output.as_ptr(), place);
    }

    #[test]
    fn a_band_holds_the_rows_that_it_is_asked_for() {
        let from = Pictures { batch: 3, rows: 5, columns: 3 };
        let enlargement = Enlargement { from, rows: 9, columns: 7, channels: 4 };
        let (map, size) = (random(from.pixels() * 4, 1), Pictures { batch: 3, rows: 9, columns: 7 });
        let whole = enlargement.forward(&map);
        // Those that follow each other, overlap, lie apart, and are the same.
        for step in [1, 3, 5, 8] {
            for source in [Source::Map(&whole), Source::Enlarged { map: &map, enlargement }] {
                let mut band = Band::new(Rows::new(source, size, 4), 6);
                for start in (0..27).step_by(step) {
                    let rows = start..(start + 5 + start % 2).min(27);
                    assert_eq!(band.at(rows.clone()), &whole[rows.start * 28..rows.end * 28], "{rows:?} of {step}");
                    assert_eq!(band.at(rows.clone()), &whole[rows.start * 28..rows.end * 28], "{rows:?} again");
                }
            }
        }
    }
}
