use ae_tensor::read;
use burn::tensor::Tensor;

use crate::PipelineError;

/// The cross-attention of one picture at one denoising step (paper, section 3: A_t): the mean over all heads of all layers
/// of one resolution, in the noise prediction with the prompt.
///
/// The maps are those of the latents that the step goes on with, thus after the update of Attend-and-Excite. The layers are the
/// ones that guidance reads, for plain sampling those it would read by default.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionMaps {
    rows: usize,
    cols: usize,
    /// `[tokens, rows, cols]`
    values: Vec<f32>,
}

impl AttentionMaps {
    /// # Shapes
    /// - maps: `[1, rows, cols, tokens]`
    pub(crate) fn read(maps: Tensor<4>, [rows, cols]: [usize; 2]) -> Result<Self, PipelineError> {
        Ok(Self { rows, cols, values: read(maps.permute([0, 3, 1, 2]))? })
    }

    /// Rows and columns of every map.
    pub fn resolution(&self) -> [usize; 2] {
        [self.rows, self.cols]
    }

    /// How many tokens there are, padding included.
    pub fn tokens(&self) -> usize {
        self.values.len() / (self.rows * self.cols)
    }

    /// The share that a token has in the attention of every patch, row by row; of all tokens a patch's shares sum to 1.
    ///
    /// # Panics
    ///
    /// When `token` is no position of the prompt.
    pub fn map(&self, token: usize) -> &[f32] {
        let size = self.rows * self.cols;
        &self.values[token * size..(token + 1) * size]
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    #[test]
    fn a_map_is_one_token_row_by_row() {
        // Two rows, one column, three tokens.
        let data = TensorData::new(vec![0.1f32, 0.2, 0.7, 0.5, 0.5, 0.0], [1, 2, 1, 3]);
        let maps = AttentionMaps::read(Tensor::from_data(data, &Device::flex()), [2, 1]).unwrap();
        assert_eq!((maps.tokens(), maps.resolution()), (3, [2, 1]));
        assert_eq!(maps.map(1), [0.2, 0.5]);
    }
}
