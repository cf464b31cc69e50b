mod gradient;
mod layout;
mod probabilities;
mod values;

use rayon::prelude::*;

pub use gradient::{AttentionGradient, AttentionInputs};

use crate::functions::exp;
use crate::panel::{Cut, Panel, WIDTH};
use crate::product::Product;
use crate::profile::{Kernel, counted};
use crate::scratch::Scratch;
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

/// The output of [`Attention::forward`], and what [`Attention::gradient`] needs of the softmax.
#[derive(Clone, Debug, PartialEq)]
pub struct Attended {
    /// `[batch, queries, heads * head_dim]`
    pub output: Vec<f32>,
    /// The largest product of a query with a key, and the sum of the exponentials: `[batch, queries, heads, 2]`.
    pub softmax: Vec<f32>,
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
    pub fn forward(&self, query: &[f32], key: &[f32], value: &[f32]) -> Attended {
        self.check(query, key, value);
        counted(Kernel::Attention, 2 * self.operations(), || self.attend(query, key, value, false))
    }

    /// The same where a query sees no key behind its own place, without what a gradient needs.
    ///
    /// # Panics
    ///
    /// When the sizes do not fit together, or there are more keys than queries or fewer.
    pub fn causal(&self, query: &[f32], key: &[f32], value: &[f32]) -> Vec<f32> {
        self.check(query, key, value);
        assert_eq!(self.queries, self.keys, "attention: a key for every query");
        counted(Kernel::Attention, 2 * self.operations(), || self.attend(query, key, value, true).output)
    }

    fn attend(&self, query: &[f32], key: &[f32], value: &[f32], is_causal: bool) -> Attended {
        let Self { batch, heads, queries, head_dim, .. } = *self;
        let channels = heads * head_dim;
        let keys = self.pack_heads(key, self.keys_size(), |rows, out| self.pack_keys(rows, out));
        let values = self.pack_heads(value, self.lines_size(), |rows, out| self.pack_lines(rows, out));

        let mut attended = Attended { output: vec![0.0; query.len()], softmax: vec![0.0; 2 * batch * queries * heads] };
        let group = (SCORES / self.padded_keys() / 12 * 12).clamp(12, QUERIES);
        let mut tasks = Vec::new();
        let pictures = attended.output.chunks_mut((queries * channels).max(1));
        for (picture, (output, softmax)) in pictures.zip(attended.softmax.chunks_mut(2 * queries * heads)).enumerate() {
            let parts = output.chunks_mut(group * channels).zip(softmax.chunks_mut(2 * group * heads));
            tasks.extend(parts.enumerate().map(|(task, part)| (picture, task * group, part)));
        }
        tasks.into_par_iter().for_each(|(picture, first, (output, softmax))| {
            for head in 0..heads {
                let at = picture * heads + head;
                let keys = &keys[at * self.keys_size()..][..self.keys_size()];
                let values = &values[at * self.lines_size()..][..self.lines_size()];
                let rows = self.rows(picture, head, first, output.len() / channels);
                let seen = is_causal.then_some(first);
                self.attend_some(query, &rows, keys, values, head, seen, output, softmax);
            }
        });
        attended
    }

    /// One head of some queries, which see all keys, or those up to their own place, that of the first being `first`.
    #[expect(clippy::too_many_arguments, reason = "two inputs, two packed ones, two outputs and the place of each")]
    fn attend_some(
        &self,
        query: &[f32],
        rows: &[usize],
        keys: &[f32],
        values: &[f32],
        head: usize,
        first: Option<usize>,
        output: &mut [f32],
        softmax: &mut [f32],
    ) {
        let Self { heads, head_dim, .. } = *self;
        let (count, padded, cut) = (rows.len(), self.padded_keys(), Cut { columns: head_dim });
        let mut weights = Scratch::new(count * padded);
        self.scores(query, rows, keys, &mut weights);
        vectorized!(|| self.exponentials(&mut weights, head, first, softmax));
        let rows: Vec<usize> = (0..count).map(|row| row * WIDTH).collect();
        let segments: Vec<usize> = (0..padded / WIDTH).map(|panel| panel * count * WIDTH).collect();
        for index in 0..cut.count() {
            let (start, width, used) = (cut.start(index), cut.width(index), cut.used(index));
            let panel = Panel { values: self.panel_of(values, cut, index), width };
            let mut products = Scratch::new(count * width);
            let product = Product { a: &weights, rows: &rows, segments: &segments, depth: WIDTH, step: 1, panel };
            product.compute(&mut products, false);
            for (row, out) in output.chunks_exact_mut(heads * head_dim).enumerate() {
                let sum = softmax[2 * (row * heads + head) + 1];
                let out = &mut out[head * head_dim + start..][..used];
                out.iter_mut().zip(&products[row * width..]).for_each(|(out, value)| *out = value / sum);
            }
        }
    }

    /// Scores become `exp(scale * (score - largest))`, zero beyond the last key that is seen; largest and sum of every row go to
    /// `softmax`.
    #[inline(always)]
    fn exponentials(&self, scores: &mut [f32], head: usize, first: Option<usize>, softmax: &mut [f32]) {
        let Self { heads, scale, .. } = *self;
        let rows = softmax.len() / (2 * heads);
        let size = rows * WIDTH;
        self.fill_beyond(scores, rows, first, f32::NEG_INFINITY);
        for (row, statistics) in softmax.chunks_exact_mut(2 * heads).enumerate() {
            let mut largest = [f32::NEG_INFINITY; WIDTH];
            for panel in scores.chunks_exact(size) {
                let line: &[f32; WIDTH] = panel[row * WIDTH..][..WIDTH].try_into().expect("a line");
                for (largest, x) in largest.iter_mut().zip(line) {
                    *largest = if *x > *largest { *x } else { *largest };
                }
            }
            let largest = largest.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
            let mut sum = [0.0_f32; WIDTH];
            for panel in scores.chunks_exact_mut(size) {
                let line: &mut [f32; WIDTH] = (&mut panel[row * WIDTH..][..WIDTH]).try_into().expect("a line");
                for (sum, x) in sum.iter_mut().zip(line) {
                    *x = exp((*x - largest) * scale);
                    *sum += *x;
                }
            }
            statistics[2 * head..][..2].copy_from_slice(&[largest, sum.iter().sum()]);
        }
        self.fill_beyond(scores, rows, first, 0.0);
    }

    /// Floating point operations of one product with all scores.
    fn operations(&self) -> usize {
        2 * self.batch * self.heads * self.queries * self.keys * self.head_dim
    }

    fn check(&self, query: &[f32], key: &[f32], value: &[f32]) {
        let Self { batch, heads, queries, keys, head_dim, .. } = *self;
        let channels = heads * head_dim;
        assert!(keys > 0 && head_dim > 0, "attention: keys and channels");
        assert_eq!(query.len(), batch * queries * channels, "attention: {queries} queries");
        assert_eq!([key.len(), value.len()], [batch * keys * channels; 2], "attention: {keys} keys and values");
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
            assert_close(&attention.forward(&query, &key, &value).output, &expected, 2e-6);
        }
    }

    /// Behind the last key it is that of all keys up to a place.
    #[test]
    fn a_causal_attention_does_not_see_what_follows() {
        for (queries, head_dim) in [(77, 32), (64, 16), (130, 5), (1, 8)] {
            let attention = Attention { batch: 2, heads: 2, queries, keys: queries, head_dim, scale: 0.7 };
            let [query, key, value] = inputs(&attention);
            let output = attention.causal(&query, &key, &value);
            let channels = 2 * head_dim;
            for place in [0, queries / 2, queries - 1] {
                let up_to = Attention { queries: 1, keys: place + 1, ..attention };
                let [query, key, value] = [(&query, place), (&key, 0), (&value, 0)].map(|(values, from)| {
                    let of_picture = |picture: &[f32]| picture[from * channels..(place + 1) * channels].to_vec();
                    values.chunks_exact(queries * channels).flat_map(of_picture).collect::<Vec<f32>>()
                });
                let expected = definition(&up_to, [&query, &key, &value]);
                let row = |picture: &[f32]| picture[place * channels..(place + 1) * channels].to_vec();
                let actual: Vec<f32> = output.chunks_exact(queries * channels).flat_map(row).collect();
                assert_close(&actual, &expected, 2e-6);
            }
        }
    }

    #[test]
    fn large_scores_stay_finite() {
        for (attention, scale) in [(CASES[1], 1e4_f32), (CASES[2], 1e4), (CASES[2], -1e4)] {
            let attention = Attention { scale: scale.abs(), ..attention };
            let [_, _, value] = inputs(&attention);
            // All scores of a sign: far below zero, keys that only fill up a panel would have the largest.
            let [query, key] =
                [attention.queries, attention.keys].map(|rows| vec![1.0; value.len() / attention.keys * rows]);
            let query: Vec<f32> = query.iter().map(|x| x * scale.signum()).collect();
            let Attended { output, softmax } = attention.forward(&query, &key, &value);
            let inputs = AttentionInputs {
                query: &query,
                key: &key,
                value: &value,
                output: &output,
                softmax: &softmax,
                gradient: &query,
            };
            let AttentionGradient { query: by_query, key_and_value } = attention.gradient(inputs, true);
            let (by_key, by_value) = key_and_value.expect("asked for");
            assert!([&output, &by_query, &by_key, &by_value].into_iter().flatten().all(|value| value.is_finite()));
        }
    }

    fn gradient(attention: &Attention, [query, key, value]: [&[f32]; 3], gradient: &[f32]) -> [Vec<f32>; 3] {
        let Attended { output, softmax } = attention.forward(query, key, value);
        let inputs = AttentionInputs { query, key, value, output: &output, softmax: &softmax, gradient };
        let actual = attention.gradient(inputs, true);
        let alone = attention.gradient(inputs, false);
        assert_eq!((&alone.query, &alone.key_and_value), (&actual.query, &None));
        let (by_key, by_value) = actual.key_and_value.expect("asked for");
        [actual.query, by_key, by_value]
    }

    #[test]
    fn the_gradients_are_those_of_differences() {
        let attention = CASES[0];
        let [query, key, value] = inputs(&attention);
        let weights = random(query.len(), 4);
        let loss =
            |query: &[f32], key: &[f32], value: &[f32]| dot(&definition(&attention, [query, key, value]), &weights);
        let [by_query, by_key, by_value] = gradient(&attention, [&query, &key, &value], &weights);
        assert_close(&by_query, &finite_differences(&query, 1e-3, |q| loss(q, &key, &value)), 1e-3);
        assert_close(&by_key, &finite_differences(&key, 1e-3, |k| loss(&query, k, &value)), 1e-3);
        assert_close(&by_value, &finite_differences(&value, 1e-3, |v| loss(&query, &key, v)), 1e-3);
    }

    /// Along random directions: more queries and keys than a block has.
    #[test]
    fn the_gradients_of_many_queries_and_keys_are_those_of_differences() {
        const STEP: f32 = 1e-2;
        let large = Attention { batch: 1, heads: 2, queries: 210, keys: 530, head_dim: 24, scale: 0.2 };
        for attention in [CASES[1], CASES[2], CASES[3], large] {
            let of = inputs(&attention);
            let weights = random(of[0].len(), 4);
            let by = gradient(&attention, of.each_ref().map(Vec::as_slice), &weights);
            for (index, by) in by.iter().enumerate() {
                let direction = random(of[index].len(), 5);
                let [above, below] = [STEP, -STEP].map(|step| {
                    let mut moved = of.clone();
                    moved[index].iter_mut().zip(&direction).for_each(|(value, direction)| *value += step * direction);
                    dot(&definition(&attention, moved.each_ref().map(Vec::as_slice)), &weights)
                });
                let (expected, actual) = ((above - below) / (2.0 * f64::from(STEP)), dot(by, &direction));
                let size = dot(by, by).sqrt() * dot(&direction, &direction).sqrt();
                assert!((actual - expected).abs() < 2e-4 * size, "{index}: {actual} instead of {expected} of {size}");
            }
        }
    }
}
