//! Where the time goes: what the kernels that a thread called have computed, and how long that took.

use std::cell::RefCell;
use std::time::{Duration, Instant};

/// What a kernel computes, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kernel {
    /// [`Conv2d`](crate::Conv2d), with the layer before it where that is its [`Source`](crate::Source)
    Convolution,
    /// [`linear`](crate::linear())
    Linear,
    /// [`Attention`](crate::Attention) and [`Softmax`](crate::Softmax)
    Attention,
    /// [`GroupNorm`](crate::GroupNorm), with its SiLU, and [`layer_norm`](crate::layer_norm())
    Normalisation,
    /// Activations such as [`geglu`](crate::geglu()), [`Enlargement`](crate::Enlargement), [`Smoothing`](crate::Smoothing) and sums
    Elementwise,
}

/// The work of the kernels of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// How often they were called.
    pub calls: u64,
    /// Floating point operations of their products: two for each multiplication of the definition, also where an algorithm
    /// does with fewer.
    pub operations: u64,
    /// Wall time.
    pub time: Duration,
}

/// The work of every kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    work: [Work; Kernel::ALL.len()],
}

impl Kernel {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Convolution, Self::Linear, Self::Attention, Self::Normalisation, Self::Elementwise];
}

impl Profile {
    const NONE: Self = Self { work: [Work { calls: 0, operations: 0, time: Duration::ZERO }; Kernel::ALL.len()] };

    /// The work of the kernels that this thread has called since it last asked.
    pub fn take() -> Self {
        COUNTED.replace(Self::NONE)
    }

    /// Of one kind.
    pub fn of(&self, kernel: Kernel) -> Work {
        self.work[kernel as usize]
    }

    /// Of all kinds.
    pub fn total(&self) -> Work {
        self.work.iter().fold(Work::default(), |total, work| Work {
            calls: total.calls + work.calls,
            operations: total.operations + work.operations,
            time: total.time + work.time,
        })
    }
}

thread_local! {
    static COUNTED: RefCell<Profile> = const { RefCell::new(Profile::NONE) };
}

/// Runs a kernel and counts it. Takes some 50 ns.
pub(crate) fn counted<R>(kernel: Kernel, operations: usize, run: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = run();
    let time = start.elapsed();
    COUNTED.with_borrow_mut(|profile| {
        let work = &mut profile.work[kernel as usize];
        work.calls += 1;
        work.operations += operations as u64;
        work.time += time;
    });
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Conv2d, Pictures, WeightOrder, Weights, linear};

    #[test]
    fn a_kernel_is_counted_once_with_the_operations_of_its_definition() {
        Profile::take();
        let size = Pictures { batch: 1, rows: 4, columns: 5 };
        let conv = Conv2d {
            weight: Weights::F32(&[1.0; 54]),
            outputs: 3,
            inputs: 2,
            kernel: [3, 3],
            stride: 1,
            padding: [1; 4],
            prepared: None,
        };
        conv.forward(&[1.0; 40], size, None, None);
        // A product inside.
        let conv = Conv2d {
            weight: Weights::F32(&[1.0; 6]),
            outputs: 3,
            inputs: 2,
            kernel: [1, 1],
            stride: 1,
            padding: [0; 4],
            prepared: None,
        };
        conv.input_gradient(&[1.0; 60], size);
        linear(&[1.0; 8], [1.0; 12].as_slice(), WeightOrder::InputsFirst, 3, None, None);
        let profile = Profile::take();
        let convolution = profile.of(Kernel::Convolution);
        assert_eq!((convolution.calls, convolution.operations), (2, 2 * 20 * 54 + 2 * 20 * 6));
        assert_eq!((profile.of(Kernel::Linear).calls, profile.of(Kernel::Linear).operations), (1, 2 * 2 * 12));
        assert_eq!((profile.total().calls, profile.of(Kernel::Attention)), (3, Work::default()));
        assert_eq!(Profile::take(), Profile::default());
    }
}
