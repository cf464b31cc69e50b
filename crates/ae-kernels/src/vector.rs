//! Vector instructions, chosen at run time.

use pulp::{Arch, Simd, WithSimd};

/// Runs `work` compiled for the widest vectors there are.
///
/// `work` must be a closure expression with `#[inline(always)]`, and what it calls must be inlined as well; loops instead of
/// `for_each`, `map` or `array::from_fn`. What is not inlined is compiled without the instructions, and is slow without a
/// warning. The bound matters too: a closure that is handed to pulp itself gets a shim around it that nobody inlines.
#[inline(always)]
pub(crate) fn run_vectorized<R>(work: impl FnOnce() -> R) -> R {
    struct Work<F>(F);
    impl<R, F: FnOnce() -> R> WithSimd for Work<F> {
        type Output = R;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> R {
            (self.0)()
        }
    }
    Arch::new().dispatch(Work(work))
}

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

macro_rules! vectorized {
    ($work:expr) => {
        $crate::vector::run_vectorized(
            #[inline(always)]
            $work,
        )
    };
}
pub(crate) use vectorized;
