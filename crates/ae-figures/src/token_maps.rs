/// The cross-attention of one denoising step (paper, section 3: A_t) to some tokens of the prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenMaps {
    rows: usize,
    cols: usize,
    tokens: Vec<usize>,
    /// `[tokens, rows, cols]`
    values: Vec<f32>,
}

impl TokenMaps {
    /// The maps of the tokens at the positions `tokens`; each value is the share of a patch's attention.
    ///
    /// # Shapes
    /// - values: `[tokens, rows, cols]`
    ///
    /// # Panics
    ///
    /// When there are not `tokens * rows * cols` values.
    pub fn new(rows: usize, cols: usize, tokens: Vec<usize>, mut values: Vec<f32>) -> Self {
        assert_eq!(values.len(), tokens.len() * rows * cols, "values of {} maps of {rows}x{cols}", tokens.len());
        // A picture of NaN would be an error elsewhere; here it must not spoil the scale.
        values.iter_mut().filter(|value| !value.is_finite()).for_each(|value| *value = 0.0);
        Self { rows, cols, tokens, values }
    }

    /// Rows of every map.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of every map.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The positions of the tokens, in the order of the maps.
    pub fn tokens(&self) -> &[usize] {
        &self.tokens
    }

    /// The largest value; 0 without any.
    pub fn peak(&self) -> f32 {
        self.values.iter().copied().fold(0.0, f32::max)
    }

    /// The map of the token at a position, row by row.
    pub fn map(&self, token: usize) -> Option<&[f32]> {
        let place = self.tokens.iter().position(|known| *known == token)?;
        let size = self.rows * self.cols;
        Some(&self.values[place * size..(place + 1) * size])
    }

    /// The map of a subject: the sum over its tokens. None when one of them has no map.
    pub fn sum(&self, tokens: &[usize]) -> Option<Vec<f32>> {
        let mut sum = vec![0.0; self.rows * self.cols];
        for token in tokens {
            for (sum, value) in sum.iter_mut().zip(self.map(*token)?) {
                *sum += value;
            }
        }
        Some(sum)
    }

    /// All values as bytes, the peak being 255.
    pub(crate) fn quantised(&self) -> Vec<u8> {
        let peak = self.peak().max(f32::MIN_POSITIVE);
        #[expect(clippy::cast_sign_loss, reason = "shares are not negative")]
        let byte = |value: &f32| (value / peak * 255.0).round() as u8;
        self.values.iter().map(byte).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maps() -> TokenMaps {
        TokenMaps::new(1, 2, vec![2, 5], vec![0.1, 0.2, 0.4, f32::NAN])
    }

    #[test]
    fn a_subject_is_the_sum_of_its_tokens() {
        assert_eq!(maps().map(5), Some(&[0.4, 0.0][..]));
        let sum = maps().sum(&[2, 5]).unwrap();
        assert!((sum[0] - 0.5).abs() < 1e-6 && (sum[1] - 0.2).abs() < 1e-6, "{sum:?}");
        assert_eq!((maps().map(3), maps().sum(&[2, 3])), (None, None));
    }

    #[test]
    fn bytes_are_shares_of_the_peak() {
        let (maps, bytes) = (maps(), maps().quantised());
        assert_eq!(bytes, [64, 128, 255, 0]);
        for (byte, value) in bytes.iter().zip(&maps.values) {
            assert!((f32::from(*byte) / 255.0 * maps.peak() - value).abs() <= maps.peak() / 255.0);
        }
        assert_eq!(TokenMaps::new(1, 1, vec![1], vec![0.0]).quantised(), [0]);
    }
}
