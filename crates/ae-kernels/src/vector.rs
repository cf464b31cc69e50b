//! Whole vectors in slices.

use pulp::Simd;

/// The vector that begins at `at`.
#[inline(always)]
pub(crate) fn load<S: Simd>(values: &[f32], at: usize) -> S::f32s {
    S::as_simd_f32s(&values[at..at + S::F32_LANES]).0[0]
}

/// Writes the vector that begins at `at`.
#[inline(always)]
pub(crate) fn store<S: Simd>(values: &mut [f32], at: usize, vector: S::f32s) {
    S::as_mut_simd_f32s(&mut values[at..at + S::F32_LANES]).0[0] = vector;
}
