use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
#[cfg(feature = "cpu")]
use std::sync::atomic::Ordering;

thread_local! {
    static FLAG: RefCell<Option<Flag>> = const { RefCell::new(None) };
}

/// What ends the work of a thread.
pub(super) type Flag = Arc<AtomicBool>;

/// What unwinds from an operation that was not begun.
struct Interrupted;

/// Runs `work`, which ends in the middle of a step once the flag is set: before its next operation on the CPU, forward or backward.
/// None where it did. Work on a GPU is handed over in no time and runs to its end.
///
/// Tensors that the work made are lost with it; what it holds beside them must bear an end at any operation.
pub fn interruptible<R>(flag: &Arc<AtomicBool>, work: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(|| with(Some(Arc::clone(flag)), work))) {
        Ok(result) => Some(result),
        Err(reason) if reason.is::<Interrupted>() => None,
        // A bug is none of our making.
        Err(reason) => resume_unwind(reason),
    }
}

/// The flag of this thread.
#[cfg(feature = "cpu")]
pub(super) fn flag() -> Option<Flag> {
    FLAG.with_borrow(Clone::clone)
}

/// Runs `work` with another flag.
pub(super) fn with<R>(flag: Option<Flag>, work: impl FnOnce() -> R) -> R {
    /// Puts the former one back, however the work ends.
    struct Restore(Option<Flag>);
    impl Drop for Restore {
        fn drop(&mut self) {
            FLAG.set(self.0.take());
        }
    }
    let _restore = Restore(FLAG.replace(flag));
    work()
}

/// Unwinds to [`interruptible`] where the flag of this thread is set. No panic is reported: nothing is wrong.
#[cfg(feature = "cpu")]
pub(crate) fn look_up() {
    if FLAG.with_borrow(|flag| flag.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))) {
        resume_unwind(Box::new(Interrupted));
    }
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::{compute_on, nn};

    /// An operation with a backward pass of its own.
    fn normalized(input: Tensor<3>) -> Tensor<3> {
        nn::softmax(input, std::slice::from_ref(&(0..3)), 1.0)
    }

    #[test]
    fn work_ends_at_the_next_operation_forward_and_backward() {
        let device = Device::flex();
        let input = || Tensor::<3>::ones([1, 2, 3], &device);
        let set = Arc::new(AtomicBool::new(false));
        let run = |until: usize| {
            set.store(false, Ordering::Relaxed);
            let mut done = 0;
            let ended = interruptible(&set, || {
                compute_on(&device, || {
                    for _ in 0..4 {
                        set.store(done == until, Ordering::Relaxed);
                        normalized(input());
                        done += 1;
                    }
                });
            });
            (ended.is_some(), done)
        };
        assert_eq!(run(9), (true, 4));
        assert_eq!(run(2), (false, 2));

        set.store(false, Ordering::Relaxed);
        let backward = || {
            let leaf = input().autodiff().require_grad();
            let loss = normalized(leaf.clone()).sum();
            set.store(true, Ordering::Relaxed);
            leaf.grad_remove(&mut loss.backward())
        };
        assert!(interruptible(&set, backward).is_none());
        // What was ended leaves nothing behind that the next work would meet.
        set.store(false, Ordering::Relaxed);
        let gradient = interruptible(&set, || {
            let leaf = input().autodiff().require_grad();
            leaf.grad_remove(&mut normalized(leaf.clone()).sum().backward())
        });
        assert!(gradient.unwrap().is_some());
        // Nobody asks where there is no flag.
        set.store(true, Ordering::Relaxed);
        normalized(input());
    }

    #[test]
    #[should_panic(expected = "a bug")]
    fn a_bug_stays_one() {
        interruptible::<()>(&Arc::default(), || panic!("a bug"));
    }
}
