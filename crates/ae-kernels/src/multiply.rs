//! A whole matrix product over several threads, with what follows it.

use rayon::prelude::*;

use crate::panel::{Cut, Panel};
use crate::product::Product;

/// The left matrix: rows of a slice, see [`Product`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) rows: &'a [usize],
    pub(crate) segments: &'a [usize],
    pub(crate) depth: usize,
}

/// What is added to a product: a value per column, and a value per element.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Added<'a> {
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) residual: Option<&'a [f32]>,
}

/// Products of fewer operations are not worth another thread.
const PARALLEL: usize = 1 << 18;
/// Rows that share a panel while it is in the second-level cache.
const GROUP: usize = 192;
/// Elements of a left matrix that stays in the cache while one panel after the other passes by.
const SMALL_LEFT: usize = 1 << 20;

/// `left * right`, and what is added, as `[rows, columns]`.
///
/// `pack` writes a panel of the right matrix: its index, then where to.
pub(crate) fn multiply(
    left: Left<'_>,
    cut: Cut,
    pack: &(dyn Fn(usize, &mut [f32]) + Sync),
    added: Added<'_>,
    out: &mut [f32],
) {
    let (rows, depth) = (left.rows.len(), left.segments.len() * left.depth);
    if rows == 0 {
        return;
    }
    let threads = if rows * depth * cut.padded() < PARALLEL { 1 } else { rayon::current_num_threads() };
    if threads == 1 || (rows * depth <= SMALL_LEFT && cut.count() >= 2 * threads) {
        by_panels(left, cut, pack, added, out, threads);
    } else {
        by_rows(left, cut, pack, added, out, threads);
    }
}

/// Every task packs some panels and multiplies all rows by them: nothing is packed twice, and no packed matrix is kept.
fn by_panels(
    left: Left<'_>,
    cut: Cut,
    pack: &(dyn Fn(usize, &mut [f32]) + Sync),
    added: Added<'_>,
    out: &mut [f32],
    threads: usize,
) {
    let (rows, depth) = (left.rows.len(), left.segments.len() * left.depth);
    let mut products = vec![0.0; rows * cut.padded()];
    let mut rest = products.as_mut_slice();
    let tasks: Vec<_> = (0..cut.count())
        .map(|index| {
            let (product, others) = std::mem::take(&mut rest).split_at_mut(rows * cut.width(index));
            rest = others;
            (index, product)
        })
        .collect();
    let compute = |panel: &mut Vec<f32>, (index, product): (usize, &mut [f32])| {
        let width = cut.width(index);
        panel.resize(depth * width, 0.0);
        pack(index, panel);
        left.product(0..rows, Panel { values: panel, width }).compute(product, false);
    };
    if threads == 1 {
        let mut panel = Vec::new();
        tasks.into_iter().for_each(|task| compute(&mut panel, task));
        return unite(&products, rows, cut, 0, out, added);
    }
    tasks.into_par_iter().for_each_init(Vec::new, compute);
    let lines = rows.div_ceil(4 * threads);
    let chunks = out.par_chunks_mut(lines * cut.columns).enumerate();
    chunks.for_each(|(i, chunk)| unite(&products, rows, cut, i * lines, chunk, added));
}

/// The whole right matrix is packed first; every task multiplies some rows by it.
fn by_rows(
    left: Left<'_>,
    cut: Cut,
    pack: &(dyn Fn(usize, &mut [f32]) + Sync),
    added: Added<'_>,
    out: &mut [f32],
    threads: usize,
) {
    let (rows, depth) = (left.rows.len(), left.segments.len() * left.depth);
    let mut packed = vec![0.0; depth * cut.padded()];
    let mut rest = packed.as_mut_slice();
    let panels: Vec<_> = (0..cut.count())
        .map(|index| {
            let (panel, others) = std::mem::take(&mut rest).split_at_mut(depth * cut.width(index));
            rest = others;
            (index, panel)
        })
        .collect();
    panels.into_par_iter().for_each(|(index, panel)| pack(index, panel));

    let group = rows.div_ceil(4 * threads).next_multiple_of(12).min(GROUP);
    let compute = |products: &mut Vec<f32>, (task, lines): (usize, &mut [f32])| {
        let first = task * group;
        let count = lines.len() / cut.columns;
        products.resize(count * cut.padded(), 0.0);
        for index in 0..cut.count() {
            let (start, width) = (cut.start(index), cut.width(index));
            let panel = Panel { values: &packed[depth * start..][..depth * width], width };
            left.product(first..first + count, panel).compute(&mut products[count * start..][..count * width], false);
        }
        let added = Added {
            residual: added.residual.map(|residual| &residual[first * cut.columns..][..count * cut.columns]),
            ..added
        };
        unite(products, count, cut, 0, lines, added);
    };
    out.par_chunks_mut(group * cut.columns).enumerate().for_each_init(Vec::new, compute);
}

impl<'a> Left<'a> {
    fn product(self, rows: std::ops::Range<usize>, panel: Panel<'a>) -> Product<'a> {
        let Self { values, rows: all, segments, depth } = self;
        Product { a: values, rows: &all[rows], segments, depth, step: 1, panel }
    }
}

/// Puts the columns of the panels, whose `products` lie one behind the other, beside each other, for the rows from `first` on.
fn unite(products: &[f32], rows: usize, cut: Cut, first: usize, lines: &mut [f32], added: Added<'_>) {
    for (line, out) in lines.chunks_exact_mut(cut.columns).enumerate() {
        let row = first + line;
        for index in 0..cut.count() {
            let (start, width, used) = (cut.start(index), cut.width(index), cut.used(index));
            let from = &products[rows * start + row * width..][..used];
            let out = &mut out[start..start + used];
            match added.bias {
                Some(bias) => {
                    let bias = &bias[start..start + used];
                    out.iter_mut().zip(from).zip(bias).for_each(|((out, from), bias)| *out = from + bias);
                }
                None => out.copy_from_slice(from),
            }
            if let Some(residual) = added.residual {
                let residual = &residual[row * cut.columns + start..][..used];
                out.iter_mut().zip(residual).for_each(|(out, residual)| *out += residual);
            }
        }
    }
}
