//! The matrix product that all other kernels are made of.

use pulp::{Simd, WithSimd};

use crate::panel::{Panel, WIDTH};
use crate::vector::arch;

/// `out[m][n] = sum over s and k of a[rows[m] + segments[s] + k * step] * panel[s * depth + k][n]`
///
/// The left matrix is given by where its rows begin, so that the rows of an implicit one, such as the patches of a
/// convolution, need not be written out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product<'a> {
    /// What holds the left matrix.
    pub(crate) a: &'a [f32],
    /// First element of each row.
    pub(crate) rows: &'a [usize],
    /// Offsets of the pieces of a row.
    pub(crate) segments: &'a [usize],
    /// Elements of a piece.
    pub(crate) depth: usize,
    /// From one element of a piece to the next.
    pub(crate) step: usize,
    /// Columns of the right matrix.
    pub(crate) panel: Panel<'a>,
}

impl Product<'_> {
    /// Writes `[rows, panel.width]`, or adds to it.
    ///
    /// # Panics
    ///
    /// When a row reaches beyond `a`, or `out` has another size.
    pub(crate) fn compute(self, out: &mut [f32], accumulate: bool) {
        assert_eq!(out.len(), self.rows.len() * self.panel.width, "size of the output");
        let stride = self.panel.width;
        self.compute_rows(out, stride, accumulate);
    }

    /// Writes to the first `panel.width` columns of rows that begin `stride` elements apart, or adds to them.
    ///
    /// # Panics
    ///
    /// When a row reaches beyond `a` or `out`.
    pub(crate) fn compute_rows(self, out: &mut [f32], stride: usize, accumulate: bool) {
        assert_eq!(self.panel.values.len(), self.segments.len() * self.depth * self.panel.width, "size of the panel");
        arch().dispatch(Dispatched { product: self, out, stride, accumulate });
    }
}

struct Dispatched<'a, 'b> {
    product: Product<'a>,
    out: &'b mut [f32],
    stride: usize,
    accumulate: bool,
}

impl WithSimd for Dispatched<'_, '_> {
    type Output = ();

    /// Tiles of as many rows as the registers hold beside the vectors of the panel that they are multiplied by. With 16 registers
    /// (AVX2) all four vectors of a wide panel would leave too few: its halves are taken one after the other.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { product, out, stride, accumulate } = self;
        match (S::F32_LANES, product.panel.width) {
            (16, WIDTH) => tiles::<S, 12, 2, 2>(simd, product, out, stride, accumulate),
            (16, _) => tiles::<S, 12, 1, 1>(simd, product, out, stride, accumulate),
            (8, WIDTH) => tiles::<S, 6, 2, 4>(simd, product, out, stride, accumulate),
            (8, _) => tiles::<S, 6, 2, 2>(simd, product, out, stride, accumulate),
            (4, WIDTH) => tiles::<S, 3, 8, 8>(simd, product, out, stride, accumulate),
            (4, _) => tiles::<S, 6, 4, 4>(simd, product, out, stride, accumulate),
            (_, WIDTH) => tiles::<S, 1, 32, 32>(simd, product, out, stride, accumulate),
            (..) => tiles::<S, 1, 16, 16>(simd, product, out, stride, accumulate),
        }
    }
}

/// Tiles of `ROWS` rows by `VECTORS` of the `ALL` vectors of the panel.
#[inline(always)]
fn tiles<S: Simd, const ROWS: usize, const VECTORS: usize, const ALL: usize>(
    simd: S,
    product: Product<'_>,
    out: &mut [f32],
    stride: usize,
    accumulate: bool,
) {
    for first in (0..ALL).step_by(VECTORS) {
        let out = &mut out[first * S::F32_LANES..];
        tiles_of_columns::<S, ROWS, VECTORS, ALL>(simd, product, first, out, stride, accumulate);
    }
}

#[inline(always)]
fn tiles_of_columns<S: Simd, const ROWS: usize, const VECTORS: usize, const ALL: usize>(
    simd: S,
    product: Product<'_>,
    first: usize,
    mut out: &mut [f32],
    stride: usize,
    accumulate: bool,
) {
    let mut rows = product.rows;
    while !rows.is_empty() {
        let take = match rows.len() {
            left if left >= ROWS => ROWS,
            left if ROWS > 8 && left >= 8 => 8,
            left if ROWS > 4 && left >= 4 => 4,
            _ => 1,
        };
        let (these, others) = rows.split_at(take);
        let (tile, rest) = out.split_at_mut(out.len().min(take * stride));
        match take {
            8 => tile_of::<S, 8, VECTORS, ALL>(simd, product, first, these, tile, stride, accumulate),
            4 => tile_of::<S, 4, VECTORS, ALL>(simd, product, first, these, tile, stride, accumulate),
            1 => tile_of::<S, 1, VECTORS, ALL>(simd, product, first, these, tile, stride, accumulate),
            _ => tile_of::<S, ROWS, VECTORS, ALL>(simd, product, first, these, tile, stride, accumulate),
        }
        (rows, out) = (others, rest);
    }
}

#[inline(always)]
fn tile_of<S: Simd, const ROWS: usize, const VECTORS: usize, const ALL: usize>(
    simd: S,
    product: Product<'_>,
    first: usize,
    rows: &[usize],
    out: &mut [f32],
    stride: usize,
    accumulate: bool,
) {
    let rows: &[usize; ROWS] = rows.try_into().expect("as many rows as the tile has");
    if product.step == 1 {
        tile::<S, ROWS, VECTORS, ALL, true>(simd, product, first, rows, out, stride, accumulate);
    } else {
        tile::<S, ROWS, VECTORS, ALL, false>(simd, product, first, rows, out, stride, accumulate);
    }
}

#[inline(always)]
fn tile<S: Simd, const ROWS: usize, const VECTORS: usize, const ALL: usize, const DENSE: bool>(
    simd: S,
    product: Product<'_>,
    first: usize,
    rows: &[usize; ROWS],
    out: &mut [f32],
    stride: usize,
    accumulate: bool,
) {
    let Product { a, segments, depth, step, panel, .. } = product;
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    let (vectors, _) = S::as_simd_f32s(panel.values);
    for (segment, right) in segments.iter().zip(vectors.chunks_exact(depth * ALL)) {
        // With lengths that the compiler knows it checks none of them in the loop.
        let length = if DENSE { depth } else { (depth - 1) * step + 1 };
        // A closure here would be compiled without the instructions that `with_simd` enables.
        let mut left = [&a[..0]; ROWS];
        for (left, row) in left.iter_mut().zip(rows) {
            *left = &a[row + segment..][..length];
        }
        for (k, right) in (0..depth).zip(right.chunks_exact(ALL)) {
            let right = &right[first..][..VECTORS];
            let at = if DENSE { k } else { k * step };
            for (sums, left) in sums.iter_mut().zip(&left) {
                let left = simd.splat_f32s(left[at]);
                for (sum, right) in sums.iter_mut().zip(right) {
                    *sum = simd.mul_add_e_f32s(left, *right, *sum);
                }
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        let (out, _) = S::as_mut_simd_f32s(&mut out[row * stride..][..VECTORS * S::F32_LANES]);
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = if accumulate { simd.add_f32s(*out, *sum) } else { *sum };
        }
    }
}
