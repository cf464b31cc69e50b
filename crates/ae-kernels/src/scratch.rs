//! Memory to work in, which every thread keeps from one kernel to the next: what the system gives is zeroed first, and that
//! takes longer than many a kernel.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

thread_local! {
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Most slices that a thread keeps.
const KEPT: usize = 8;

/// A slice that holds whatever was left in it.
pub(crate) struct Scratch {
    values: Vec<f32>,
    length: usize,
}

impl Scratch {
    pub(crate) fn new(length: usize) -> Self {
        let mut values = FREE.with_borrow_mut(|free| {
            // The smallest that is long enough, else the longest.
            let fits = |values: &Vec<f32>| (values.len() < length, values.len().abs_diff(length));
            let best = (0..free.len()).min_by_key(|&i| fits(&free[i]));
            best.map(|best| free.swap_remove(best)).unwrap_or_default()
        });
        if values.len() < length {
            // Not `resize`, which would copy.
            values = Vec::new();
            values.resize(length, 0.0);
        }
        Self { values, length }
    }
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.length]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.length]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        // A thread that ends keeps nothing.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT {
                free.push(values);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_grows() {
        let mut first = Scratch::new(1000);
        first.fill(7.0);
        let place = first.as_ptr();
        drop(first);
        let smaller = Scratch::new(10);
        assert_eq!((smaller.len(), smaller.as_ptr()), (10, place));
        assert_eq!(Scratch::new(2000).len(), 2000);
        drop(smaller);
        assert_eq!(Scratch::new(1000).as_ptr(), place);
    }
}
