//! The three linear transformations: of patches of the input, of kernels, and of products back to the output.
//!
//! Only loops and functions that are always inlined: a closure, or `array::from_fn`, would be compiled without the
//! instructions that `with_simd` enables, and every operation would become a call.

use pulp::{Simd, WithSimd};

use super::{GAP, PATCH, TAPS, TILE};
use crate::vector::{load, store};

/// The points, their squares and cubes.
const A: f32 = 0.625;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;
const A3: f32 = A2 * A;
const B3: f32 = B2 * B;

/// One patch and where its transform goes: element `[tap, channel]` to `tap * stride + channel`.
pub(super) struct Patch<'a, 'b> {
    pub(super) pixels: [&'a [f32]; TAPS],
    pub(super) out: &'b mut [f32],
    pub(super) stride: usize,
}

impl WithSimd for Patch<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pixels: patch, out, stride } = self;
        let channels = patch[0].len();
        let whole = channels / S::F32_LANES * S::F32_LANES;
        let mut values = [[simd.splat_f32s(0.0); PATCH]; PATCH];
        for first in (0..whole).step_by(S::F32_LANES) {
            for tap in 0..TAPS {
                values[tap / PATCH][tap % PATCH] = load::<S>(patch[tap], first);
            }
            values = transform_patch(simd, values);
            for tap in 0..TAPS {
                store::<S>(out, tap * stride + first, values[tap / PATCH][tap % PATCH]);
            }
        }
        if whole < channels {
            for tap in 0..TAPS {
                values[tap / PATCH][tap % PATCH] = simd.partial_load_f32s(&patch[tap][whole..]);
            }
            values = transform_patch(simd, values);
            for tap in 0..TAPS {
                let out = &mut out[tap * stride + whole..tap * stride + channels];
                simd.partial_store_f32s(out, values[tap / PATCH][tap % PATCH]);
            }
        }
    }
}

/// The transformation of a patch of the input.
#[inline(always)]
fn transform_patch<S: Simd>(simd: S, mut values: [[S::f32s; PATCH]; PATCH]) -> [[S::f32s; PATCH]; PATCH] {
    for line in &mut values {
        *line = input_line(simd, *line);
    }
    for column in 0..PATCH {
        let mut line = values[0];
        for row in 0..PATCH {
            line[row] = values[row][column];
        }
        let line = input_line(simd, line);
        for row in 0..PATCH {
            values[row][column] = line[row];
        }
    }
    values
}

#[inline(always)]
fn times<S: Simd>(simd: S, factor: f32, value: S::f32s) -> S::f32s {
    simd.mul_f32s(simd.splat_f32s(factor), value)
}

/// `value + factor * other`
#[inline(always)]
fn plus<S: Simd>(simd: S, value: S::f32s, factor: f32, other: S::f32s) -> S::f32s {
    simd.mul_add_e_f32s(simd.splat_f32s(factor), other, value)
}

/// The transformation of a line of the input.
#[inline(always)]
fn input_line<S: Simd>(simd: S, [x0, x1, x2, x3, x4, x5]: [S::f32s; PATCH]) -> [S::f32s; PATCH] {
    let even_a = plus(simd, x4, -B2, x2);
    let odd_a = times(simd, A, plus(simd, x3, -B2, x1));
    let even_b = plus(simd, x4, -A2, x2);
    let odd_b = times(simd, B, plus(simd, x3, -A2, x1));
    [
        plus(simd, plus(simd, x4, -(A2 + B2), x2), A2 * B2, x0),
        simd.add_f32s(even_a, odd_a),
        simd.sub_f32s(even_a, odd_a),
        simd.add_f32s(even_b, odd_b),
        simd.sub_f32s(even_b, odd_b),
        plus(simd, plus(simd, x5, -(A2 + B2), x3), A2 * B2, x1),
    ]
}

/// The transformation of a line of the kernel.
#[inline(always)]
fn weight_line<S: Simd>(simd: S, [g0, g1, g2]: [S::f32s; 3]) -> [S::f32s; PATCH] {
    const NORM_A: f32 = 1.0 / (2.0 * A2 * (A2 - B2));
    const NORM_B: f32 = 1.0 / (2.0 * B2 * (B2 - A2));
    let (even_a, odd_a) = (times(simd, NORM_A, plus(simd, g0, A2, g2)), times(simd, NORM_A * A, g1));
    let (even_b, odd_b) = (times(simd, NORM_B, plus(simd, g0, B2, g2)), times(simd, NORM_B * B, g1));
    [
        times(simd, 1.0 / (A2 * B2), g0),
        simd.add_f32s(even_a, odd_a),
        simd.sub_f32s(even_a, odd_a),
        simd.add_f32s(even_b, odd_b),
        simd.sub_f32s(even_b, odd_b),
        g2,
    ]
}

/// The transformation of a line of products back to the output.
#[inline(always)]
fn output_line<S: Simd>(simd: S, [m0, m1, m2, m3, m4, m5]: [S::f32s; PATCH]) -> [S::f32s; TILE] {
    let (even_a, odd_a) = (simd.add_f32s(m1, m2), simd.sub_f32s(m1, m2));
    let (even_b, odd_b) = (simd.add_f32s(m3, m4), simd.sub_f32s(m3, m4));
    [
        simd.add_f32s(m0, simd.add_f32s(even_a, even_b)),
        plus(simd, times(simd, A, odd_a), B, odd_b),
        plus(simd, times(simd, A2, even_a), B2, even_b),
        plus(simd, plus(simd, m5, A3, odd_a), B3, odd_b),
    ]
}

/// Kernels of 3x3, `[9, values]` with gaps, and where their transforms go: element `[tap, value]` to `tap * stride + value`.
pub(super) struct Weights<'a, 'b> {
    pub(super) plain: &'a [f32],
    pub(super) out: &'b mut [f32],
    pub(super) values: usize,
    pub(super) stride: usize,
}

impl WithSimd for Weights<'_, '_> {
    type Output = ();

    #[expect(clippy::needless_range_loop, reason = "a column of lines, without a closure")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { plain, out, values, stride } = self;
        let zero = simd.splat_f32s(0.0);
        for first in (0..values).step_by(S::F32_LANES) {
            let mut lines = [[zero; PATCH]; 3];
            for (row, line) in lines.iter_mut().enumerate() {
                let mut weights = [zero; 3];
                for (column, weight) in weights.iter_mut().enumerate() {
                    *weight = load::<S>(plain, (row * 3 + column) * (values + GAP) + first);
                }
                *line = weight_line(simd, weights);
            }
            for column in 0..PATCH {
                let transformed = weight_line(simd, [lines[0][column], lines[1][column], lines[2][column]]);
                for (row, value) in transformed.into_iter().enumerate() {
                    store::<S>(out, (row * PATCH + column) * stride + first, value);
                }
            }
        }
    }
}

/// From products, `[taps, tiles, width]` with gaps, to the output, `[tiles, pixels, width]`.
pub(super) struct Back<'a, 'b> {
    pub(super) products: &'a [f32],
    pub(super) out: &'b mut [f32],
    pub(super) width: usize,
}

impl WithSimd for Back<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { products, out, width } = self;
        let stride = products.len() / TAPS;
        let zero = simd.splat_f32s(0.0);
        for (tile, out) in out.chunks_exact_mut(TILE * TILE * width).enumerate() {
            for first in (0..width).step_by(S::F32_LANES) {
                let mut lines = [[zero; TILE]; PATCH];
                for (row, line) in lines.iter_mut().enumerate() {
                    let mut values = [zero; PATCH];
                    for (column, value) in values.iter_mut().enumerate() {
                        *value = load::<S>(products, (row * PATCH + column) * stride + tile * width + first);
                    }
                    *line = output_line(simd, values);
                }
                for column in 0..TILE {
                    let mut values = [zero; PATCH];
                    for (value, line) in values.iter_mut().zip(&lines) {
                        *value = line[column];
                    }
                    for (row, value) in output_line(simd, values).into_iter().enumerate() {
                        store::<S>(out, (row * TILE + column) * width + first, value);
                    }
                }
            }
        }
    }
}
