//! Vector instructions, chosen at run time.

use pulp::{Arch, Simd, WithSimd};

/// The widest vectors there are.
#[inline(always)]
pub(crate) fn arch() -> Arch {
    #[cfg(all(test, target_arch = "x86_64"))]
    if let Some(arch) = tests::narrower() {
        return arch;
    }
    Arch::new()
}

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
    arch().dispatch(Work(work))
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

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use std::process::Command;
    use std::sync::OnceLock;

    use super::*;

    /// Names the vectors that a process of tests is bound to.
    const VECTORS: &str = "AE_KERNELS_VECTORS";

    fn named(name: &str) -> Option<Arch> {
        match name {
            "avx2" => pulp::x86::V3::try_new().map(Arch::V3),
            "none" => Some(Arch::Scalar),
            _ => None,
        }
    }

    pub(super) fn narrower() -> Option<Arch> {
        static ARCH: OnceLock<Option<Arch>> = OnceLock::new();
        *ARCH.get_or_init(|| named(&std::env::var(VECTORS).ok()?))
    }

    /// Every other test of the kernels once more, with the vectors of lesser machines.
    #[test]
    fn kernels_are_right_with_narrower_vectors() {
        if std::env::var_os(VECTORS).is_some() {
            return;
        }
        let widest = std::mem::discriminant(&Arch::new());
        for name in ["avx2", "none"] {
            let Some(arch) = named(name) else { continue };
            if std::mem::discriminant(&arch) == widest {
                continue;
            }
            let program = std::env::current_exe().unwrap();
            let output = Command::new(program).env(VECTORS, name).output().unwrap();
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stdout));
        }
    }
}
