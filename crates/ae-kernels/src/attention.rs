use rayon::prelude::*;

use crate::functions::exp;
use crate::panel::{Cut, Panel, Strided, WIDTH};
use crate::product::Product;
use crate::profile::{Kernel, counted};
use crate::vector::vectorized;

/// Scaled dot-product attention of several heads whose channels lie beside each other.
///
/// The matrix of scores exists for some queries at a time, in both directions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// Number of pictures.
    pub batch: usize,
    /// Number of heads.
    pub heads: usize,
    /// Queries of a picture.
    pub queries: usize,
    /// Keys and values of a picture.
    pub keys: usize,
    /// Channels of a head.
    pub head_dim: usize,
    /// Factor of the scores, usually `1 / sqrt(head_dim)`.
    pub scale: f32,
}

/// The gradients of [`Attention::gradient`].
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionGradient {
    /// By the queries, `[batch, queries, heads * head_dim]`.
    pub query: Vec<f32>,
    /// By keys and values, `[batch, keys, heads * head_dim]` each, if they were asked for.
    pub key_and_value: Option<(Vec<f32>, Vec<f32>)>,
}

/// Scores that stay in the second-level cache.
const SCORES: usize = 192 << 10;
/// Most queries that share a pass over the keys.
const QUERIES: usize = 48;

impl Attention {
    /// `softmax(scale * query key^T) value` for every head.
    ///
    /// # Shapes
    /// - query and output: `[batch, queries, heads * head_dim]`
    /// - key, value: `[batch, keys, heads * head_dim]`
    ///
    /// # Panics
    ///
    /// When the sizes do not fit together.
    pub fn forward(&self, query: &[f32], key: &[f32], value: &[f32]) -> Vec<f32> {
        self.check(query, key, value);
        counted(Kernel::Attention, 2 * self.operations(), || self.attend(query, key, value))
    }

    fn attend(&self, query: &[f32], key: &[f32], value: &[f32]) -> Vec<f32> {
        let Self { batch, heads, queries, head_dim, scale, .. } = *self;
        let channels = heads * head_dim;
        let mut out = vec![0.0; query.len()];
        let values_cut = Cut { columns: head_dim };
        let keys = self.pack(key, |rows, panel| self.pack_keys(rows, panel));
        let values = self.pack(value, |rows, panel| self.pack_lines(rows, panel));
        let group = self.group(1);
        let (tasks, rest) = (queries.div_ceil(group), queries * channels);
        let mut chunks = Vec::with_capacity(batch * tasks);
        for (picture, out) in out.chunks_mut(rest.max(1)).enumerate() {
            chunks.extend(out.chunks_mut(group * channels).enumerate().map(|(task, out)| (picture, task * group, out)));
        }
        chunks.into_par_iter().for_each_init(Scratch::default, |scratch, (picture, first, out)| {
            let count = out.len() / channels;
            for head in 0..heads {
                let at = picture * heads + head;
                let rows = self.rows(picture, head, first, count);
                scratch.weights.resize(count * self.padded_keys(), 0.0);
                self.scores(query, &rows, &keys[at], &mut scratch.weights);
                scratch.sums.resize(count, 0.0);
                vectorized(
                    #[inline(always)]
                    || self.exponentials(scale, &mut scratch.weights, &mut scratch.sums),
                );
                for panel in 0..values_cut.count() {
                    let (start, width, used) =
                        (values_cut.start(panel), values_cut.width(panel), values_cut.used(panel));
                    let right = Panel { values: self.panel_of(&values[at], values_cut, panel), width };
                    scratch.products.resize(count * width, 0.0);
                    self.weigh(&scratch.weights, count, right, &mut scratch.products);
                    let lines = scratch.products.chunks_exact(width).zip(&scratch.sums);
                    for ((line, sum), out) in lines.zip(out.chunks_exact_mut(channels)) {
                        let out = &mut out[head * head_dim + start..][..used];
                        out.iter_mut().zip(line).for_each(|(out, value)| *out = value / sum);
                    }
                }
            }
        });
        out
    }

    /// The gradients of a loss by queries, and if they are asked for by keys and values, from that by the output.
    ///
    /// With `S = scale Q K^T`, `P = softmax(S)` and `dP = dO V^T`: `dS = P (dP - sum(dP P))`, the sum over each row;
    /// `dQ = scale dS K`, `dK = scale dS^T Q`, `dV = P^T dO`.
    ///
    /// # Shapes
    /// - query, gradient: `[batch, queries, heads * head_dim]`
    /// - key, value: `[batch, keys, heads * head_dim]`
    ///
    /// # Panics
    ///
    /// When the sizes do not fit together.
    pub fn gradient(
        &self,
        query: &[f32],
        key: &[f32],
        value: &[f32],
        gradient: &[f32],
        by_key_and_value: bool,
    ) -> AttentionGradient {
        self.check(query, key, value);
        assert_eq!(query.len(), gradient.len(), "attention: gradient");
        let products = if by_key_and_value { 5 } else { 3 };
        let inputs = Inputs { query, key, value, gradient };
        counted(Kernel::Attention, products * self.operations(), || self.attend_back(inputs, by_key_and_value))
    }

    fn attend_back(&self, inputs: Inputs<'_>, by_key_and_value: bool) -> AttentionGradient {
        let Self { batch, heads, queries, keys, head_dim, .. } = *self;
        let cut = Cut { columns: head_dim };
        let panels = self.padded_keys() * cut.padded();
        let empty = if by_key_and_value { panels } else { 0 };
        let by_head: Vec<_> = (0..batch * heads)
            .into_par_iter()
            .map(|at| {
                let mut by_query = vec![0.0; queries * cut.padded()];
                let (mut by_key, mut by_value) = (vec![0.0; empty], vec![0.0; empty]);
                self.gradient_of_head(at, inputs, &mut by_query, &mut by_key, &mut by_value);
                (by_query, by_key, by_value)
            })
            .collect();
        let parts = |part: fn(&(Vec<f32>, Vec<f32>, Vec<f32>)) -> &Vec<f32>| -> Vec<&[f32]> {
            by_head.iter().map(|head| part(head).as_slice()).collect()
        };
        let key_and_value = by_key_and_value.then(|| {
            let lines = self.padded_keys();
            (self.unite(&parts(|head| &head.1), keys, lines), self.unite(&parts(|head| &head.2), keys, lines))
        });
        AttentionGradient { query: self.unite(&parts(|head| &head.0), queries, queries), key_and_value }
    }

    /// The results are panels of [`Cut`], each `[rows, width]`.
    fn gradient_of_head(
        &self,
        at: usize,
        inputs: Inputs<'_>,
        by_query: &mut [f32],
        by_key: &mut [f32],
        by_value: &mut [f32],
    ) {
        let Self { heads, queries, head_dim, scale, .. } = *self;
        let (picture, head) = (at / heads, at % heads);
        let Inputs { query, key, value, gradient } = inputs;
        let cut = Cut { columns: head_dim };
        let padded = self.padded_keys();
        let mut packed: [Vec<f32>; 3] = std::array::from_fn(|_| Vec::new());
        let [keys, values, key_lines] = &mut packed;
        self.pack_keys(self.head_of(key, self.keys, picture, head), keys);
        self.pack_keys(self.head_of(value, self.keys, picture, head), values);
        self.pack_lines(self.head_of(key, self.keys, picture, head), key_lines);

        let group = self.group(2);
        let Scratch { mut weights, mut by_weights, mut sums, .. } = Scratch::default();
        let mut right = Vec::new();
        for first in (0..queries).step_by(group) {
            let count = group.min(queries - first);
            let rows = self.rows(picture, head, first, count);
            weights.resize(count * padded, 0.0);
            by_weights.resize(count * padded, 0.0);
            sums.resize(count, 0.0);
            self.scores(query, &rows, keys, &mut weights);
            self.scores(gradient, &rows, values, &mut by_weights);
            vectorized(
                #[inline(always)]
                || {
                    self.exponentials(scale, &mut weights, &mut sums);
                    softmax_gradient(scale, &mut weights, &mut by_weights, &mut sums);
                },
            );
            // P^T dO and dS^T Q, a line for every key.
            let lines: Vec<usize> = (0..padded).map(|key| key / WIDTH * count * WIDTH + key % WIDTH).collect();
            for panel in 0..cut.count() {
                let (start, width, used) = (cut.start(panel), cut.width(panel), cut.used(panel));
                let lines_of = Panel { values: self.panel_of(key_lines, cut, panel), width };
                let out = &mut by_query[queries * start + first * width..][..count * width];
                self.weigh(&by_weights, count, lines_of, out);
                if by_key.is_empty() {
                    continue;
                }
                for (from, weights, out) in [(gradient, &weights, &mut *by_value), (query, &by_weights, &mut *by_key)] {
                    right.resize(count * width, 0.0);
                    let strided =
                        Strided { values: from, start: rows[0], row_stride: heads * head_dim, column_stride: 1 };
                    strided.pack(count, start, used, width, &mut right);
                    let product = Product {
                        a: weights,
                        rows: &lines,
                        segments: &[0],
                        depth: count,
                        step: WIDTH,
                        panel: Panel { values: &right, width },
                    };
                    product.compute(&mut out[padded * start..][..padded * width], true);
                }
            }
        }
    }

    /// The scores of some queries: `[panel of keys, queries, WIDTH]`.
    fn scores(&self, query: &[f32], rows: &[usize], keys: &[f32], scores: &mut [f32]) {
        let panels = keys.chunks_exact(self.head_dim * WIDTH);
        for (values, scores) in panels.zip(scores.chunks_exact_mut(rows.len() * WIDTH)) {
            let panel = Panel { values, width: WIDTH };
            Product { a: query, rows, segments: &[0], depth: self.head_dim, step: 1, panel }.compute(scores, false);
        }
    }

    /// Sums of lines, weighted: `[queries, width]`.
    fn weigh(&self, weights: &[f32], count: usize, lines: Panel<'_>, out: &mut [f32]) {
        let rows: Vec<usize> = (0..count).map(|row| row * WIDTH).collect();
        let segments: Vec<usize> = (0..self.padded_keys() / WIDTH).map(|panel| panel * count * WIDTH).collect();
        Product { a: weights, rows: &rows, segments: &segments, depth: WIDTH, step: 1, panel: lines }
            .compute(out, false);
    }

    /// Scores become `exp(scale * (score - largest))`, zero beyond the last key, with their sum for every query.
    #[inline(always)]
    fn exponentials(&self, scale: f32, scores: &mut [f32], sums: &mut [f32]) {
        let count = sums.len();
        let last = self.padded_keys() - WIDTH;
        if last + WIDTH > self.keys {
            for line in scores[last * count..].chunks_exact_mut(WIDTH) {
                line[self.keys - last..].fill(f32::NEG_INFINITY);
            }
        }
        for (row, total) in sums.iter_mut().enumerate() {
            let mut largest = [f32::NEG_INFINITY; WIDTH];
            for panel in scores.chunks_exact(count * WIDTH) {
                let line: &[f32; WIDTH] = panel[row * WIDTH..][..WIDTH].try_into().expect("a line");
                largest
                    .iter_mut()
                    .zip(line)
                    .for_each(|(largest, x)| *largest = if *x > *largest { *x } else { *largest });
            }
            let largest = largest.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
            let mut sum = [0.0_f32; WIDTH];
            for panel in scores.chunks_exact_mut(count * WIDTH) {
                let line: &mut [f32; WIDTH] = (&mut panel[row * WIDTH..][..WIDTH]).try_into().expect("a line");
                for (sum, x) in sum.iter_mut().zip(line) {
                    *x = exp((*x - largest) * scale);
                    *sum += *x;
                }
            }
            *total = sum.iter().sum();
        }
        if last + WIDTH > self.keys {
            for line in scores[last * count..].chunks_exact_mut(WIDTH) {
                line[self.keys - last..].fill(0.0);
            }
        }
    }

    /// Floating point operations of one product with all scores.
    fn operations(&self) -> usize {
        2 * self.batch * self.heads * self.queries * self.keys * self.head_dim
    }

    fn padded_keys(&self) -> usize {
        self.keys.next_multiple_of(WIDTH)
    }

    /// Queries whose scores, `matrices` times, stay in the cache: a multiple of the rows of a tile.
    fn group(&self, matrices: usize) -> usize {
        (SCORES / (matrices * self.padded_keys()) / 12 * 12).clamp(12, QUERIES)
    }

    /// Where the rows of a head begin.
    fn rows(&self, picture: usize, head: usize, first: usize, count: usize) -> Vec<usize> {
        let channels = self.heads * self.head_dim;
        (first..first + count).map(|row| (picture * self.queries + row) * channels + head * self.head_dim).collect()
    }

    /// The rows of one head of one picture, `[rows, head_dim]`.
    fn head_of<'a>(&self, values: &'a [f32], rows: usize, picture: usize, head: usize) -> Strided<'a> {
        let channels = self.heads * self.head_dim;
        let start = picture * rows * channels + head * self.head_dim;
        Strided { values, start, row_stride: channels, column_stride: 1 }
    }

    /// What every head of every picture needs of keys or values.
    fn pack(&self, values: &[f32], pack: impl Fn(Strided<'_>, &mut Vec<f32>) + Sync) -> Vec<Vec<f32>> {
        let heads = (0..self.batch * self.heads).into_par_iter();
        heads
            .map(|at| {
                let mut packed = Vec::new();
                pack(self.head_of(values, self.keys, at / self.heads, at % self.heads), &mut packed);
                packed
            })
            .collect()
    }

    /// As the right-hand side of products with rows of `head_dim`: panels of `[head_dim, WIDTH]`, a column for each key.
    fn pack_keys(&self, rows: Strided<'_>, out: &mut Vec<f32>) {
        out.resize(self.padded_keys() * self.head_dim, 0.0);
        let turned = Strided { row_stride: 1, column_stride: rows.row_stride, ..rows };
        for (panel, out) in out.chunks_exact_mut(self.head_dim * WIDTH).enumerate() {
            let first = panel * WIDTH;
            turned.pack(self.head_dim, first, WIDTH.min(self.keys - first), WIDTH, out);
        }
    }

    /// As the right-hand side of products with rows of keys: panels of `[padded_keys, width]`, a line for each key.
    fn pack_lines(&self, rows: Strided<'_>, out: &mut Vec<f32>) {
        let cut = Cut { columns: self.head_dim };
        let padded = self.padded_keys();
        out.clear();
        out.resize(padded * cut.padded(), 0.0);
        for panel in 0..cut.count() {
            let (start, width) = (cut.start(panel), cut.width(panel));
            rows.pack(self.keys, start, cut.used(panel), width, &mut out[padded * start..][..padded * width]);
        }
    }

    fn panel_of<'a>(&self, lines: &'a [f32], cut: Cut, panel: usize) -> &'a [f32] {
        let padded = self.padded_keys();
        &lines[padded * cut.start(panel)..][..padded * cut.width(panel)]
    }

    /// From the panels of every head, whose columns have `lines` lines, to `[batch, rows, heads * head_dim]`.
    fn unite(&self, heads: &[&[f32]], rows: usize, lines: usize) -> Vec<f32> {
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

    fn check(&self, query: &[f32], key: &[f32], value: &[f32]) {
        let Self { batch, heads, queries, keys, head_dim, .. } = *self;
        let channels = heads * head_dim;
        assert!(keys > 0 && head_dim > 0, "attention: keys and channels");
        assert_eq!(query.len(), batch * queries * channels, "attention: {queries} queries");
        assert_eq!([key.len(), value.len()], [batch * keys * channels; 2], "attention: {keys} keys and values");
    }
}

#[derive(Clone, Copy)]
struct Inputs<'a> {
    query: &'a [f32],
    key: &'a [f32],
    value: &'a [f32],
    gradient: &'a [f32],
}

/// What a thread works in.
#[derive(Default)]
struct Scratch {
    weights: Vec<f32>,
    by_weights: Vec<f32>,
    products: Vec<f32>,
    sums: Vec<f32>,
}

/// Exponentials become probabilities, and the gradient by them that by the products of queries and keys.
#[inline(always)]
fn softmax_gradient(scale: f32, weights: &mut [f32], by_weights: &mut [f32], sums: &mut [f32]) {
    let size = sums.len() * WIDTH;
    for (row, sum) in sums.iter_mut().enumerate() {
        let factor = 1.0 / *sum;
        let mut correlated = [0.0_f32; WIDTH];
        for (weights, by_weights) in weights.chunks_exact_mut(size).zip(by_weights.chunks_exact(size)) {
            let line: &mut [f32; WIDTH] = (&mut weights[row * WIDTH..][..WIDTH]).try_into().expect("a line");
            let by_line: &[f32; WIDTH] = by_weights[row * WIDTH..][..WIDTH].try_into().expect("a line");
            for ((total, weight), by_weight) in correlated.iter_mut().zip(line).zip(by_line) {
                *weight *= factor;
                *total += *weight * by_weight;
            }
        }
        let correlated: f32 = correlated.iter().sum();
        for (weights, by_weights) in weights.chunks_exact(size).zip(by_weights.chunks_exact_mut(size)) {
            let line: &[f32; WIDTH] = weights[row * WIDTH..][..WIDTH].try_into().expect("a line");
            let by_line: &mut [f32; WIDTH] = (&mut by_weights[row * WIDTH..][..WIDTH]).try_into().expect("a line");
            for (weight, by_weight) in line.iter().zip(by_line) {
                *by_weight = weight * (*by_weight - correlated) * scale;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, dot, finite_differences, random};

    const CASES: [Attention; 4] = [
        Attention { batch: 2, heads: 3, queries: 13, keys: 7, head_dim: 5, scale: 0.7 },
        Attention { batch: 1, heads: 2, queries: 130, keys: 64, head_dim: 40, scale: 0.2 },
        Attention { batch: 1, heads: 1, queries: 50, keys: 77, head_dim: 33, scale: 0.3 },
        Attention { batch: 1, heads: 2, queries: 61, keys: 33, head_dim: 16, scale: 3.0 },
    ];

    fn inputs(attention: &Attention) -> [Vec<f32>; 3] {
        let channels = attention.heads * attention.head_dim;
        let of = |rows, seed| random(attention.batch * rows * channels, seed);
        [of(attention.queries, 1), of(attention.keys, 2), of(attention.keys, 3)]
    }

    fn definition(attention: &Attention, [query, key, value]: [&[f32]; 3]) -> Vec<f32> {
        let Attention { batch, heads, queries, keys, head_dim, scale } = *attention;
        let channels = heads * head_dim;
        let mut out = vec![0.0; query.len()];
        for (picture, head) in (0..batch).flat_map(|picture| (0..heads).map(move |head| (picture, head))) {
            let row = |values: &[f32], rows: usize, row: usize| {
                values[(picture * rows + row) * channels + head * head_dim..][..head_dim].to_vec()
            };
            for q in 0..queries {
                let scores: Vec<f64> =
                    (0..keys).map(|k| dot(&row(query, queries, q), &row(key, keys, k)) * f64::from(scale)).collect();
                let largest = scores.iter().copied().fold(f64::MIN, f64::max);
                let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
                let total: f64 = weights.iter().sum();
                for channel in 0..head_dim {
                    let values = (0..keys).map(|k| weights[k] * f64::from(row(value, keys, k)[channel]));
                    out[(picture * queries + q) * channels + head * head_dim + channel] =
                        (values.sum::<f64>() / total) as f32;
                }
            }
        }
        out
    }

    #[test]
    fn it_is_the_definition() {
        for attention in CASES {
            let [query, key, value] = inputs(&attention);
            let expected = definition(&attention, [&query, &key, &value]);
            assert_close(&attention.forward(&query, &key, &value), &expected, 2e-6);
        }
    }

    #[test]
    fn large_scores_stay_finite() {
        let attention = Attention { scale: 1e4, ..CASES[1] };
        let [query, key, value] = inputs(&attention);
        assert!(attention.forward(&query, &key, &value).iter().all(|value| value.is_finite()));
    }

    #[test]
    fn the_gradients_are_those_of_differences() {
        for attention in [CASES[0], CASES[3]] {
            let [query, key, value] = inputs(&attention);
            let weights = random(query.len(), 4);
            let loss =
                |query: &[f32], key: &[f32], value: &[f32]| dot(&definition(&attention, [query, key, value]), &weights);
            let actual = attention.gradient(&query, &key, &value, &weights, true);
            let (by_key, by_value) = actual.key_and_value.expect("asked for");
            assert_close(&actual.query, &finite_differences(&query, 1e-3, |q| loss(q, &key, &value)), 1e-3);
            assert_close(&by_key, &finite_differences(&key, 1e-3, |k| loss(&query, k, &value)), 1e-3);
            assert_close(&by_value, &finite_differences(&value, 1e-3, |v| loss(&query, &key, v)), 1e-3);
            let alone = attention.gradient(&query, &key, &value, &weights, false);
            assert_eq!(alone, AttentionGradient { query: actual.query, key_and_value: None });
        }
    }
}
