use rayon::prelude::*;

use super::Attention;
use crate::panel::{Cut, Strided, WIDTH};
use crate::profile::{Kernel, counted};
use crate::scratch::Scratch;

impl Attention {
    /// What is seen with given [`probabilities`](Self::probabilities), which need not be those of queries and keys.
    ///
    /// # Shapes
    /// - probabilities: `[batch, heads, queries, keys]`
    /// - value: `[batch, keys, heads * head_dim]`
    /// - output: `[batch, queries, heads * head_dim]`
    ///
    /// # Panics
    ///
    /// When the sizes do not fit together.
    pub fn values(&self, probabilities: &[f32], value: &[f32]) -> Vec<f32> {
        self.check_values(probabilities, value);
        let Self { queries, keys, .. } = *self;
        counted(Kernel::Attention, self.operations(), || {
            let rows: Vec<usize> = (0..queries).map(|row| row * keys).collect();
            let heads = self.by_head(|at| {
                let mut out = vec![0.0; queries * self.padded_columns()];
                let probabilities = self.probabilities_of(probabilities, at);
                self.times(probabilities, &rows, keys, 1, self.head_of(value, at), &mut out);
                out
            });
            self.united(&heads, queries)
        })
    }

    /// The gradient of a loss by the probabilities, from that by the output of [`values`](Self::values).
    ///
    /// # Shapes
    /// - value: `[batch, keys, heads * head_dim]`
    /// - gradient: `[batch, queries, heads * head_dim]`
    /// - output: `[batch, heads, queries, keys]`
    ///
    /// # Panics
    ///
    /// When the sizes do not fit together.
    pub fn values_gradient_by_probabilities(&self, value: &[f32], gradient: &[f32]) -> Vec<f32> {
        self.check(gradient, value, value);
        let Self { batch, heads, queries, keys, .. } = *self;
        counted(Kernel::Attention, self.operations(), || {
            let packed = self.pack_heads(value, self.keys_size(), |rows, out| self.pack_keys(rows, out));
            let mut out = vec![0.0; batch * heads * queries * keys];
            out.par_chunks_mut((queries * keys).max(1)).enumerate().for_each(|(at, out)| {
                let rows = self.rows(at / heads, at % heads, 0, queries);
                let mut products = Scratch::new(queries * self.padded_keys());
                self.scores(gradient, &rows, &packed[at * self.keys_size()..][..self.keys_size()], &mut products);
                for (row, out) in out.chunks_exact_mut(keys).enumerate() {
                    for (panel, out) in out.chunks_mut(WIDTH).enumerate() {
                        out.copy_from_slice(&products[(panel * queries + row) * WIDTH..][..out.len()]);
                    }
                }
            });
            out
        })
    }

    /// The gradient of a loss by the values, from that by the output of [`values`](Self::values).
    ///
    /// # Shapes
    /// - probabilities: `[batch, heads, queries, keys]`
    /// - gradient: `[batch, queries, heads * head_dim]`
    /// - output: `[batch, keys, heads * head_dim]`
    ///
    /// # Panics
    ///
    /// When the sizes do not fit together.
    pub fn values_gradient_by_value(&self, probabilities: &[f32], gradient: &[f32]) -> Vec<f32> {
        let Self { batch, heads, queries, keys, head_dim, .. } = *self;
        assert_eq!(gradient.len(), batch * queries * heads * head_dim, "attention: gradient");
        assert_eq!(probabilities.len(), batch * heads * queries * keys, "attention: probabilities");
        counted(Kernel::Attention, self.operations(), || {
            let rows: Vec<usize> = (0..keys).collect();
            let heads = self.by_head(|at| {
                let start = self.rows(at / heads, at % heads, 0, 1)[0];
                let lines = Strided { values: gradient.into(), start, row_stride: heads * head_dim, column_stride: 1 };
                let mut out = vec![0.0; keys * self.padded_columns()];
                self.times(self.probabilities_of(probabilities, at), &rows, queries, keys, lines, &mut out);
                out
            });
            self.united(&heads, keys)
        })
    }

    fn check_values(&self, probabilities: &[f32], value: &[f32]) {
        let Self { batch, heads, queries, keys, head_dim, .. } = *self;
        assert!(keys > 0 && head_dim > 0, "attention: keys and channels");
        assert_eq!(probabilities.len(), batch * heads * queries * keys, "attention: probabilities");
        assert_eq!(value.len(), batch * keys * heads * head_dim, "attention: {keys} values");
    }

    fn probabilities_of<'a>(&self, probabilities: &'a [f32], at: usize) -> &'a [f32] {
        let size = self.queries * self.keys;
        &probabilities[at * size..(at + 1) * size]
    }

    fn padded_columns(&self) -> usize {
        Cut { columns: self.head_dim }.padded()
    }

    /// The panels of every head of every picture.
    fn by_head(&self, of: impl Fn(usize) -> Vec<f32> + Sync + Send) -> Vec<Vec<f32>> {
        (0..self.batch * self.heads).into_par_iter().map(of).collect()
    }

    fn united(&self, heads: &[Vec<f32>], rows: usize) -> Vec<f32> {
        let heads: Vec<_> = heads.iter().map(Vec::as_slice).collect();
        self.unite(&heads, rows, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, dot, finite_differences, random};

    const ATTENTION: Attention = Attention { batch: 2, heads: 2, queries: 13, keys: 37, head_dim: 5, scale: 0.8 };

    #[test]
    fn the_probabilities_of_an_attention_see_what_it_sees() {
        for attention in [ATTENTION, Attention { queries: 99, keys: 64, head_dim: 40, ..ATTENTION }] {
            let Attention { batch, heads, queries, keys, head_dim, .. } = attention;
            let of = |rows, seed| random(batch * rows * heads * head_dim, seed);
            let (query, key, value) = (of(queries, 1), of(keys, 2), of(keys, 3));
            let actual = attention.values(&attention.probabilities(&query, &key), &value);
            assert_close(&actual, &attention.forward(&query, &key, &value).output, 2e-6);
        }
    }

    #[test]
    fn the_gradients_are_those_of_differences() {
        let Attention { batch, heads, queries, keys, head_dim, .. } = ATTENTION;
        let (probs, value) = (random(batch * heads * queries * keys, 1), random(batch * keys * heads * head_dim, 2));
        let weights = random(batch * queries * heads * head_dim, 3);
        let loss = |probs: &[f32], value: &[f32]| dot(&ATTENTION.values(probs, value), &weights);
        let by_probs = ATTENTION.values_gradient_by_probabilities(&value, &weights);
        assert_close(&by_probs, &finite_differences(&probs, 1e-2, |probs| loss(probs, &value)), 2e-3);
        let by_value = ATTENTION.values_gradient_by_value(&probs, &weights);
        assert_close(&by_value, &finite_differences(&value, 1e-2, |value| loss(&probs, value)), 2e-3);
    }
}
