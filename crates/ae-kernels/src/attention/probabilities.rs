use rayon::prelude::*;

use super::Attention;
use crate::panel::{Cut, Panel, Strided, WIDTH};
use crate::product::Product;
use crate::profile::{Kernel, counted};
use crate::scratch::Scratch;
use crate::vector::vectorized;

/// Most queries of a task.
const QUERIES: usize = 96;

impl Attention {
    /// The probabilities `softmax(scale * query key^T)` themselves, which guidance looks at.
    ///
    /// # Shapes
    /// - query: `[batch, queries, heads * head_dim]`
    /// - key: `[batch, keys, heads * head_dim]`
    /// - output: `[batch, heads, queries, keys]`
    ///
    /// # Panics
    ///
    /// When the sizes do not fit together.
    pub fn probabilities(&self, query: &[f32], key: &[f32]) -> Vec<f32> {
        self.check(query, key, key);
        counted(Kernel::Attention, self.operations(), || {
            let Self { batch, heads, queries, keys, .. } = *self;
            let packed = self.pack_heads(key, self.keys_size(), |rows, out| self.pack_keys(rows, out));
            let mut out = vec![0.0; batch * heads * queries * keys];
            let mut tasks = Vec::new();
            for (at, head) in out.chunks_mut((queries * keys).max(1)).enumerate() {
                let parts = head.chunks_mut(QUERIES * keys).enumerate();
                tasks.extend(parts.map(|(part, out)| (at, part * QUERIES, out)));
            }
            tasks.into_par_iter().for_each(|(at, first, out)| {
                let count = out.len() / keys;
                let rows = self.rows(at / heads, at % heads, first, count);
                let mut weights = Scratch::new(count * self.padded_keys());
                self.scores(query, &rows, &packed[at * self.keys_size()..][..self.keys_size()], &mut weights);
                let mut statistics = Scratch::new(2 * count);
                vectorized!(|| Self { heads: 1, ..*self }.exponentials(&mut weights, 0, None, &mut statistics));
                for (row, out) in out.chunks_exact_mut(keys).enumerate() {
                    let factor = 1.0 / statistics[2 * row + 1];
                    for (panel, out) in out.chunks_mut(WIDTH).enumerate() {
                        let line = &weights[(panel * count + row) * WIDTH..];
                        out.iter_mut().zip(line).for_each(|(out, weight)| *out = weight * factor);
                    }
                }
            });
            out
        })
    }

    /// The gradients of a loss by queries, and if it is asked for by keys, from that by the [`probabilities`](Self::probabilities).
    ///
    /// # Shapes
    /// - probabilities, gradient: `[batch, heads, queries, keys]`
    /// - output: those of query and key
    ///
    /// # Panics
    ///
    /// When the sizes do not fit together.
    pub fn probabilities_gradient(
        &self,
        query: &[f32],
        key: &[f32],
        probabilities: &[f32],
        gradient: &[f32],
        by_key: bool,
    ) -> (Vec<f32>, Option<Vec<f32>>) {
        self.check(query, key, key);
        let Self { batch, heads, queries, keys, head_dim, .. } = *self;
        assert_eq!(
            [probabilities.len(), gradient.len()],
            [batch * heads * queries * keys; 2],
            "attention: probabilities"
        );
        let products = if by_key { 2 } else { 1 };
        counted(Kernel::Attention, products * self.operations(), || {
            let columns = Cut { columns: head_dim }.padded();
            let by_head: Vec<_> = (0..batch * heads)
                .into_par_iter()
                .map(|at| {
                    let of_head = at * queries * keys..(at + 1) * queries * keys;
                    let mut by_scores = Scratch::new(queries * keys);
                    by_scores.copy_from_slice(&gradient[of_head.clone()]);
                    vectorized!(|| self.softmax_gradient(&probabilities[of_head], &mut by_scores));
                    let rows: Vec<usize> = (0..queries).map(|row| row * keys).collect();
                    let mut by_query = vec![0.0; queries * columns];
                    self.times(&by_scores, &rows, keys, 1, self.head_of(key, at), &mut by_query);
                    let mut of_keys = vec![0.0; if by_key { keys * columns } else { 0 }];
                    if by_key {
                        let start = self.rows(at / heads, at % heads, 0, 1)[0];
                        let lines =
                            Strided { values: query.into(), start, row_stride: heads * head_dim, column_stride: 1 };
                        let rows: Vec<usize> = (0..keys).collect();
                        self.times(&by_scores, &rows, queries, keys, lines, &mut of_keys);
                    }
                    (by_query, of_keys)
                })
                .collect();
            let by_query: Vec<_> = by_head.iter().map(|head| head.0.as_slice()).collect();
            let of_keys: Vec<_> = by_head.iter().map(|head| head.1.as_slice()).collect();
            (self.unite(&by_query, queries, queries), by_key.then(|| self.unite(&of_keys, keys, keys)))
        })
    }

    /// The gradient by the probabilities becomes that by the products of queries and keys.
    #[inline(always)]
    fn softmax_gradient(&self, probabilities: &[f32], gradient: &mut [f32]) {
        for (probs, gradient) in probabilities.chunks_exact(self.keys).zip(gradient.chunks_exact_mut(self.keys)) {
            let mut correlation = 0.0;
            for (prob, by_prob) in probs.iter().zip(&*gradient) {
                correlation += prob * by_prob;
            }
            for (by_prob, prob) in gradient.iter_mut().zip(probs) {
                *by_prob = prob * (*by_prob - correlation) * self.scale;
            }
        }
    }

    /// A product of rows of `depth` elements, `step` apart, with lines of `head_dim`: panels of `[rows, width]`.
    pub(super) fn times(
        &self,
        a: &[f32],
        rows: &[usize],
        depth: usize,
        step: usize,
        lines: Strided<'_>,
        out: &mut [f32],
    ) {
        let cut = Cut { columns: self.head_dim };
        for (index, out) in cut.split(rows.len(), out).into_iter().enumerate() {
            let width = cut.width(index);
            let mut panel = Scratch::new(depth * width);
            lines.pack(depth, cut.start(index), cut.used(index), width, &mut panel);
            let panel = Panel { values: &panel, width };
            Product { a, rows, segments: &[0], depth, step, panel }.compute(out, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, dot, finite_differences, random};

    const ATTENTION: Attention = Attention { batch: 2, heads: 2, queries: 99, keys: 37, head_dim: 5, scale: 0.8 };

    fn inputs() -> [Vec<f32>; 2] {
        let Attention { batch, heads, queries, keys, head_dim, .. } = ATTENTION;
        [(queries, 1), (keys, 2)].map(|(rows, seed)| random(batch * rows * heads * head_dim, seed))
    }

    /// An attention to one-hot values shows its probabilities.
    #[test]
    fn they_are_those_of_the_attention() {
        let [query, key] = inputs();
        let Attention { batch, heads, queries, keys, head_dim, .. } = ATTENTION;
        let probabilities = ATTENTION.probabilities(&query, &key);
        for seen in [0, 36] {
            let value: Vec<f32> = (0..batch * keys * heads * head_dim)
                .map(|i| if i / (heads * head_dim) % keys == seen { 1.0 } else { 0.0 })
                .collect();
            let output = ATTENTION.forward(&query, &key, &value).output;
            let expected: Vec<f32> = (0..batch * heads * queries)
                .map(|i| {
                    let (picture, head, row) = (i / (heads * queries), i / queries % heads, i % queries);
                    output[((picture * queries + row) * heads + head) * head_dim]
                })
                .collect();
            let actual: Vec<f32> = probabilities.chunks_exact(keys).map(|row| row[seen]).collect();
            assert_close(&actual, &expected, 1e-6);
        }
    }

    #[test]
    fn the_gradients_are_those_of_differences() {
        let [query, key] = inputs();
        let probabilities = ATTENTION.probabilities(&query, &key);
        let weights = random(probabilities.len(), 3);
        let loss = |query: &[f32], key: &[f32]| dot(&ATTENTION.probabilities(query, key), &weights);
        let (by_query, by_key) = ATTENTION.probabilities_gradient(&query, &key, &probabilities, &weights, true);
        assert_close(&by_query, &finite_differences(&query, 1e-2, |query| loss(query, &key)), 2e-3);
        assert_close(&by_key.unwrap(), &finite_differences(&key, 1e-2, |key| loss(&query, key)), 2e-3);
        let alone = ATTENTION.probabilities_gradient(&query, &key, &probabilities, &weights, false);
        assert_eq!(alone, (by_query, None));
    }
}
