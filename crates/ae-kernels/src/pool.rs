use rayon::ThreadPoolBuilder;

/// Runs `work` on a thread of a pool of its own, so that the kernels it calls start at once.
///
/// From a thread outside, every kernel is handed over to rayon's pool and waited for, which takes as long as a small kernel
/// itself. The pool is not rayon's global one, where a thread that waits for a kernel may begin with somebody else's work and
/// return only when that has ended. It has as many threads as that (`RAYON_NUM_THREADS`), each with a stack of 8 MiB, as
/// the main thread of a program has.
pub fn in_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    const STACK: usize = 8 << 20;
    match ThreadPoolBuilder::new().stack_size(STACK).build() {
        Ok(pool) => pool.install(work),
        // The system gives no more threads: slower, with the same result.
        Err(_) => work(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_inside() {
        let mut seen = None;
        let result = in_pool(|| {
            seen = rayon::current_thread_index();
            rayon::join(|| 2, || 3)
        });
        assert_eq!(result, (2, 3));
        assert!(seen.is_some());
        assert_eq!(rayon::current_thread_index(), None);
    }
}
