//! A whole matrix product over several threads, with what follows it.

use rayon::prelude::*;

use crate::panel::{Cut, Panel};
use crate::product::Product;
use crate::scratch::Scratch;
use crate::vector::vectorized;

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
    let (rows, depth) = (left.rows.len(), left.depth());
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
    let (rows, depth) = (left.rows.len(), left.depth());
    let mut products = Scratch::new(rows * cut.padded());
    let tasks = cut.split(rows, &mut products).into_iter().enumerate();
    let compute = |(index, product): (usize, &mut [f32])| {
        let width = cut.width(index);
        let mut panel = Scratch::new(depth * width);
        pack(index, &mut panel);
        left.product(0..rows, Panel { values: &panel, width }).compute(product, false);
    };
    if threads == 1 {
        tasks.for_each(compute);
    } else {
        tasks.collect::<Vec<_>>().into_par_iter().for_each(compute);
    }
    let lines = rows.div_ceil(4 * threads);
    let unite = |(task, out): (usize, &mut [f32])| {
        let first = task * lines;
        for index in 0..cut.count() {
            let width = cut.width(index);
            let from = &products[rows * cut.start(index) + first * width..];
            finish(cut, index, Some(Panel { values: from, width }), added.from(first, cut), out);
        }
    };
    if threads == 1 {
        unite((0, out));
    } else {
        out.par_chunks_mut(lines * cut.columns).enumerate().for_each(unite);
    }
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
    let (rows, depth) = (left.rows.len(), left.depth());
    let mut packed = Scratch::new(depth * cut.padded());
    cut.split(depth, &mut packed).into_par_iter().enumerate().for_each(|(index, panel)| pack(index, panel));

    let group = rows.div_ceil(4 * threads).next_multiple_of(12).min(GROUP);
    out.par_chunks_mut(group * cut.columns).enumerate().for_each(|(task, out)| {
        let first = task * group;
        let count = out.len() / cut.columns;
        for index in 0..cut.count() {
            let (start, width) = (cut.start(index), cut.width(index));
            let panel = Panel { values: &packed[depth * start..][..depth * width], width };
            let product = left.product(first..first + count, panel);
            if cut.used(index) == width {
                product.compute_rows(&mut out[start..], cut.columns, false);
                finish(cut, index, None, added.from(first, cut), out);
            } else {
                let mut values = Scratch::new(count * width);
                product.compute(&mut values, false);
                finish(cut, index, Some(Panel { values: &values, width }), added.from(first, cut), out);
            }
        }
    });
}

impl<'a> Left<'a> {
    /// Columns of the matrix.
    fn depth(&self) -> usize {
        self.segments.len() * self.depth
    }

    fn product(self, rows: std::ops::Range<usize>, panel: Panel<'a>) -> Product<'a> {
        let Self { values, rows: all, segments, depth } = self;
        Product { a: values, rows: &all[rows], segments, depth, step: 1, panel }
    }
}

impl Added<'_> {
    /// What is added to the rows from `first` on.
    fn from(self, first: usize, cut: Cut) -> Self {
        Self { residual: self.residual.map(|residual| &residual[first * cut.columns..]), ..self }
    }
}

/// Adds to the columns of one panel in `out`, which get their product first if it stands elsewhere.
fn finish(cut: Cut, index: usize, product: Option<Panel<'_>>, added: Added<'_>, out: &mut [f32]) {
    let columns = cut.start(index)..cut.start(index) + cut.used(index);
    let bias = added.bias.map(|bias| &bias[columns.clone()]);
    vectorized!(|| {
        for (row, out) in out.chunks_exact_mut(cut.columns).enumerate() {
            let out = &mut out[columns.clone()];
            if let Some(Panel { values, width }) = product {
                out.copy_from_slice(&values[row * width..][..out.len()]);
            }
            if let Some(bias) = bias {
                for (out, bias) in out.iter_mut().zip(bias) {
                    *out += bias;
                }
            }
            if let Some(residual) = added.residual {
                let residual = &residual[row * cut.columns..][columns.clone()];
                for (out, residual) in out.iter_mut().zip(residual) {
                    *out += residual;
                }
            }
        }
    });
}
