//! Elementwise work over threads.

use rayon::prelude::*;

use crate::vector::vectorized;

/// Elements that are worth a task of their own.
const TASK: usize = 1 << 14;

/// Runs `work` on runs of whole rows of `out`, with the index of their first row, on the widest vectors there are.
///
/// `work` is as in [`vectorized`].
pub(crate) fn run_rows(out: &mut [f32], row: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    let rows = (TASK / row.max(1)).max(1);
    let chunks = |(chunk, out): (usize, &mut [f32])| {
        vectorized!(|| work(chunk * rows, out));
    };
    let length = rows * row.max(1);
    if out.len() <= 2 * TASK {
        out.chunks_mut(length).enumerate().for_each(chunks);
    } else {
        out.par_chunks_mut(length).enumerate().for_each(chunks);
    }
}

macro_rules! for_rows {
    ($out:expr, $row:expr, $work:expr) => {
        $crate::parallel::run_rows(
            $out,
            $row,
            #[inline(always)]
            $work,
        )
    };
}
pub(crate) use for_rows;
