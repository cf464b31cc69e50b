//! How queries, keys and values lie for the products.

use rayon::prelude::*;

use super::Attention;
use crate::panel::{Cut, Panel, Strided, WIDTH};
use crate::product::Product;
use crate::scratch::Scratch;

impl Attention {
    /// Keys, and those that only fill up the last panel.
    pub(super) fn padded_keys(&self) -> usize {
        self.keys.next_multiple_of(WIDTH)
    }

    /// Elements of [`pack_keys`](Self::pack_keys).
    pub(super) fn keys_size(&self) -> usize {
        self.padded_keys() * self.head_dim
    }

    /// Elements of [`pack_lines`](Self::pack_lines).
    pub(super) fn lines_size(&self) -> usize {
        self.padded_keys() * Cut { columns: self.head_dim }.padded()
    }

    /// Where the rows of a head begin.
    pub(super) fn rows(&self, picture: usize, head: usize, first: usize, count: usize) -> Vec<usize> {
        let channels = self.heads * self.head_dim;
        (first..first + count).map(|row| (picture * self.queries + row) * channels + head * self.head_dim).collect()
    }

    /// The keys or values of one head of one picture, `[keys, head_dim]`.
    pub(super) fn head_of<'a>(&self, values: &'a [f32], at: usize) -> Strided<'a> {
        let (picture, head) = (at / self.heads, at % self.heads);
        let channels = self.heads * self.head_dim;
        let start = picture * self.keys * channels + head * self.head_dim;
        Strided { values: values.into(), start, row_stride: channels, column_stride: 1 }
    }

    /// The keys or values of every head of every picture, packed one behind the other.
    pub(super) fn pack_heads(
        &self,
        values: &[f32],
        size: usize,
        pack: impl Fn(Strided<'_>, &mut [f32]) + Sync,
    ) -> Scratch {
        let mut packed = Scratch::new(self.batch * self.heads * size);
        packed.par_chunks_mut(size).enumerate().for_each(|(at, out)| pack(self.head_of(values, at), out));
        packed
    }

    /// As the right-hand side of products with rows of `head_dim`: panels of `[head_dim, WIDTH]`, a column for each key.
    pub(super) fn pack_keys(&self, rows: Strided<'_>, out: &mut [f32]) {
        let turned = Strided { row_stride: 1, column_stride: rows.row_stride, ..rows };
        for (panel, out) in out.chunks_exact_mut(self.head_dim * WIDTH).enumerate() {
            let first = panel * WIDTH;
            turned.pack(self.head_dim, first, WIDTH.min(self.keys - first), WIDTH, out);
        }
    }

    /// As the right-hand side of products with rows of keys: panels of `[padded_keys, width]`, a line for each key, zero
    /// beyond the last.
    pub(super) fn pack_lines(&self, rows: Strided<'_>, out: &mut [f32]) {
        let cut = Cut { columns: self.head_dim };
        for (index, panel) in cut.split(self.padded_keys(), out).into_iter().enumerate() {
            let (lines, beyond) = panel.split_at_mut(self.keys * cut.width(index));
            rows.pack(self.keys, cut.start(index), cut.used(index), cut.width(index), lines);
            beyond.fill(0.0);
        }
    }

    /// One panel of [`pack_lines`](Self::pack_lines).
    pub(super) fn panel_of<'a>(&self, lines: &'a [f32], cut: Cut, index: usize) -> &'a [f32] {
        let padded = self.padded_keys();
        &lines[padded * cut.start(index)..][..padded * cut.width(index)]
    }

    /// The products of some rows with packed keys: `[panel of keys, rows, WIDTH]`.
    pub(super) fn scores(&self, a: &[f32], rows: &[usize], keys: &[f32], scores: &mut [f32]) {
        let panels = keys.chunks_exact(self.head_dim * WIDTH);
        for (values, scores) in panels.zip(scores.chunks_exact_mut(rows.len() * WIDTH)) {
            let panel = Panel { values, width: WIDTH };
            Product { a, rows, segments: &[0], depth: self.head_dim, step: 1, panel }.compute(scores, false);
        }
    }

    /// Fills what stands beyond the last key in scores of so many rows that end with the last panel; with the place of the first
    /// row, what stands behind the place of every row.
    #[inline(always)]
    pub(super) fn fill_beyond(&self, scores: &mut [f32], rows: usize, first: Option<usize>, value: f32) {
        let Some(first) = first else {
            let used = self.keys - (self.padded_keys() - WIDTH);
            if used < WIDTH {
                let last = scores.len() - rows * WIDTH;
                for line in scores[last..].chunks_exact_mut(WIDTH) {
                    line[used..].fill(value);
                }
            }
            return;
        };
        let from = first / WIDTH;
        for (panel, lines) in scores.chunks_exact_mut(rows * WIDTH).enumerate().skip(from) {
            for (row, line) in lines.chunks_exact_mut(WIDTH).enumerate() {
                let used = (first + row + 1).saturating_sub(panel * WIDTH).min(WIDTH);
                line[used..].fill(value);
            }
        }
    }

    /// From the panels of every head, whose columns have `lines` lines, to `[batch, rows, heads * head_dim]`.
    pub(super) fn unite(&self, heads: &[&[f32]], rows: usize, lines: usize) -> Vec<f32> {
        let cut = Cut { columns: self.head_dim };
        let channels = self.heads * self.head_dim;
        let mut out = vec![0.0; self.batch * rows * channels];
        out.par_chunks_mut(channels).with_min_len(64).enumerate().for_each(|(index, out)| {
            let (picture, row) = (index / rows, index % rows);
            for (head, out) in out.chunks_exact_mut(self.head_dim).enumerate() {
                for panel in 0..cut.count() {
                    let (start, width, used) = (cut.start(panel), cut.width(panel), cut.used(panel));
                    let line = &heads[picture * self.heads + head][lines * start + row * width..][..used];
                    out[start..start + used].copy_from_slice(line);
                }
            }
        });
        out
    }
}
