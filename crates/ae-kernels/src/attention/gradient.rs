use std::ops::Range;

use rayon::prelude::*;

use super::Attention;
use crate::functions::exp;
use crate::panel::{Cut, Panel, Strided, WIDTH};
use crate::product::Product;
use crate::profile::{Kernel, counted};
use crate::scratch::Scratch;
use crate::vector::vectorized;

/// What the gradients of an attention are computed from.
#[derive(Clone, Copy, Debug)]
pub struct AttentionInputs<'a> {
    /// `[batch, queries, heads * head_dim]`
    pub query: &'a [f32],
    /// `[batch, keys, heads * head_dim]`
    pub key: &'a [f32],
    /// `[batch, keys, heads * head_dim]`
    pub value: &'a [f32],
    /// Of [`Attended`](super::Attended).
    pub output: &'a [f32],
    /// Of [`Attended`](super::Attended).
    pub softmax: &'a [f32],
    /// The gradient by the output, `[batch, queries, heads * head_dim]`.
    pub gradient: &'a [f32],
}

/// The gradients of [`Attention::gradient`].
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionGradient {
    /// By the queries, `[batch, queries, heads * head_dim]`.
    pub query: Vec<f32>,
    /// By keys and values, `[batch, keys, heads * head_dim]` each, if they were asked for.
    pub key_and_value: Option<(Vec<f32>, Vec<f32>)>,
}

/// Keys and queries whose scores, and what these come from and go to, are in the second-level cache at a time.
const KEYS: usize = 8 * WIDTH;
const QUERIES: usize = 96;

impl Attention {
    /// The gradients of a loss by queries, and if they are asked for by keys and values.
    ///
    /// With `S = scale Q K^T`, `P = softmax(S)` and `dP = dO V^T`: `dS = P (dP - sum(dP P))`, the sum over each row, which
    /// is that of `dO O`; `dQ = scale dS K`, `dK = scale dS^T Q`, `dV = P^T dO` (Dao et al., "FlashAttention", 2022,
    /// appendix B).
    ///
    /// # Panics
    ///
    /// When the sizes do not fit together.
    pub fn gradient(&self, inputs: AttentionInputs<'_>, by_key_and_value: bool) -> AttentionGradient {
        let AttentionInputs { query, key, value, output, softmax, gradient } = inputs;
        self.check(query, key, value);
        assert_eq!([output.len(), gradient.len()], [query.len(); 2], "attention: output and gradient");
        assert_eq!(softmax.len(), 2 * self.batch * self.queries * self.heads, "attention: softmax");
        let products = if by_key_and_value { 5 } else { 3 };
        counted(Kernel::Attention, products * self.operations(), || self.attend_back(inputs, by_key_and_value))
    }

    fn attend_back(&self, inputs: AttentionInputs<'_>, by_key_and_value: bool) -> AttentionGradient {
        let Self { batch, heads, queries, keys, head_dim, .. } = *self;
        let by_query = queries * Cut { columns: head_dim }.padded();
        let by_key = if by_key_and_value { self.lines_size() } else { 0 };
        let by_head: Vec<_> = (0..batch * heads)
            .into_par_iter()
            .map(|at| {
                let mut head = Head {
                    attention: self,
                    inputs,
                    at,
                    by_query: vec![0.0; by_query],
                    by_key: vec![0.0; by_key],
                    by_value: vec![0.0; by_key],
                };
                head.compute();
                head
            })
            .collect();
        let of = |part: for<'a> fn(&'a Head<'_>) -> &'a [f32], rows, lines| {
            self.unite(&by_head.iter().map(part).collect::<Vec<_>>(), rows, lines)
        };
        let padded = self.padded_keys();
        AttentionGradient {
            query: of(|head| &head.by_query, queries, queries),
            key_and_value: by_key_and_value
                .then(|| (of(|head| &head.by_key, keys, padded), of(|head| &head.by_value, keys, padded))),
        }
    }
}

/// One head of one picture; the gradients are panels of [`Cut`], each `[rows, width]`.
struct Head<'a> {
    attention: &'a Attention,
    inputs: AttentionInputs<'a>,
    at: usize,
    by_query: Vec<f32>,
    by_key: Vec<f32>,
    by_value: Vec<f32>,
}

impl Head<'_> {
    fn compute(&mut self) {
        let Self { attention, inputs: AttentionInputs { key, value, .. }, at, .. } = *self;
        let mut keys = Scratch::new(attention.keys_size());
        let mut values = Scratch::new(attention.keys_size());
        let mut lines = Scratch::new(attention.lines_size());
        attention.pack_keys(attention.head_of(key, at), &mut keys);
        attention.pack_keys(attention.head_of(value, at), &mut values);
        attention.pack_lines(attention.head_of(key, at), &mut lines);
        let correlations = self.correlations();

        // Keys outside: their gradients stay in the cache while all queries add to them.
        for first_key in (0..attention.padded_keys()).step_by(KEYS) {
            let block = first_key..attention.padded_keys().min(first_key + KEYS);
            let columns = block.start * attention.head_dim..block.end * attention.head_dim;
            for first in (0..attention.queries).step_by(QUERIES) {
                let queries = first..attention.queries.min(first + QUERIES);
                let [keys, values] = [&keys[columns.clone()], &values[columns.clone()]];
                self.add(&block, queries, keys, values, &lines, &correlations[first..]);
            }
        }
    }

    /// `sum(dO O)` of every query.
    fn correlations(&self) -> Vec<f32> {
        let Self { attention, inputs: AttentionInputs { output, gradient, .. }, at, .. } = *self;
        let rows = attention.rows(at / attention.heads, at % attention.heads, 0, attention.queries);
        let of = |row: usize| {
            let [output, gradient] = [output, gradient].map(|values| &values[row..row + attention.head_dim]);
            output.iter().zip(gradient).map(|(output, gradient)| output * gradient).sum()
        };
        rows.into_iter().map(of).collect()
    }

    /// What some queries and a block of keys add to each other's gradients.
    fn add(
        &mut self,
        block: &Range<usize>,
        queries: Range<usize>,
        keys: &[f32],
        values: &[f32],
        key_lines: &[f32],
        correlations: &[f32],
    ) {
        let Self { attention, inputs: AttentionInputs { query, softmax, gradient, .. }, at, .. } = *self;
        let (picture, head) = (at / attention.heads, at % attention.heads);
        let (count, size) = (queries.len(), queries.len() * block.len());
        let rows = attention.rows(picture, head, queries.start, count);
        let mut weights = Scratch::new(size);
        let mut by_weights = Scratch::new(size);
        attention.scores(query, &rows, keys, &mut weights);
        attention.scores(gradient, &rows, values, &mut by_weights);
        if block.end == attention.padded_keys() {
            attention.fill_beyond(&mut weights, count, None, f32::NEG_INFINITY);
        }
        let softmax = &softmax[2 * attention.heads * (picture * attention.queries + queries.start)..];
        let statistics = softmax.chunks_exact(2 * attention.heads).map(|row| [row[2 * head], row[2 * head + 1]]);
        let statistics: Vec<_> = statistics.zip(correlations).take(count).collect();
        vectorized!(|| softmax_gradient(attention.scale, &statistics, &mut weights, &mut by_weights));

        let cut = Cut { columns: attention.head_dim };
        let weight_rows: Vec<usize> = (0..count).map(|row| row * WIDTH).collect();
        let segments: Vec<usize> = (0..block.len() / WIDTH).map(|panel| panel * count * WIDTH).collect();
        // A row for every key.
        let key_rows: Vec<usize> = (0..block.len()).map(|key| key / WIDTH * count * WIDTH + key % WIDTH).collect();
        for index in 0..cut.count() {
            let (start, width, used) = (cut.start(index), cut.width(index), cut.used(index));
            let lines = &attention.panel_of(key_lines, cut, index)[block.start * width..block.end * width];
            let panel = Panel { values: lines, width };
            let product =
                Product { a: &by_weights, rows: &weight_rows, segments: &segments, depth: WIDTH, step: 1, panel };
            let out = &mut self.by_query[attention.queries * start + queries.start * width..][..count * width];
            product.compute(out, block.start > 0);
            if self.by_key.is_empty() {
                continue;
            }
            let mut right = Scratch::new(count * width);
            let at = attention.padded_keys() * start + block.start * width;
            for (from, weights, out) in
                [(gradient, &weights, &mut self.by_value), (query, &by_weights, &mut self.by_key)]
            {
                let row_stride = attention.heads * attention.head_dim;
                let strided = Strided { values: from.into(), start: rows[0], row_stride, column_stride: 1 };
                strided.pack(count, start, used, width, &mut right);
                let panel = Panel { values: &right, width };
                let product = Product { a: weights, rows: &key_rows, segments: &[0], depth: count, step: WIDTH, panel };
                product.compute(&mut out[at..][..block.len() * width], true);
            }
        }
    }
}

/// Products of queries and keys become probabilities, and products of gradients and values the gradients by the former.
///
/// What comes out beyond the last key meets lines of zeros, or goes where nobody looks.
#[inline(always)]
fn softmax_gradient(scale: f32, statistics: &[([f32; 2], &f32)], weights: &mut [f32], by_weights: &mut [f32]) {
    let size = statistics.len() * WIDTH;
    for (weights, by_weights) in weights.chunks_exact_mut(size).zip(by_weights.chunks_exact_mut(size)) {
        let lines = weights.chunks_exact_mut(WIDTH).zip(by_weights.chunks_exact_mut(WIDTH));
        for ((weights, by_weights), ([largest, sum], correlation)) in lines.zip(statistics) {
            let weights: &mut [f32; WIDTH] = weights.try_into().expect("a line");
            let by_weights: &mut [f32; WIDTH] = by_weights.try_into().expect("a line");
            let factor = 1.0 / sum;
            for weight in weights.iter_mut() {
                *weight = exp((*weight - largest) * scale) * factor;
            }
            for (by_weight, weight) in by_weights.iter_mut().zip(weights) {
                *by_weight = *weight * (*by_weight - *correlation) * scale;
            }
        }
    }
}
