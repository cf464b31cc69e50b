use ae_tensor::ComputeError;
use burn::tensor::{FloatDType, Tensor, TensorData};

/// Weights that text embeddings cannot take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyWeightsError {
    /// Not one list of weights per prompt.
    #[error("{found} lists of weights for the embeddings of {expected} prompts; expected one for each")]
    Prompts {
        /// The number of lists.
        found: usize,
        /// The number of prompts.
        expected: usize,
    },
    /// Not one weight per token.
    #[error("prompt {index} has {found} weights and {expected} tokens; expected one for each")]
    Tokens {
        /// The place of the prompt in the batch.
        index: usize,
        /// The number of its weights.
        found: usize,
        /// The number of tokens.
        expected: usize,
    },
    /// The weighted embeddings have no mean from which the old one could be restored, or are no numbers.
    #[error("the weights of prompt {index} leave no embeddings: their mean is 0, or they are too large")]
    NotFinite {
        /// The place of the prompt in the batch.
        index: usize,
    },
    /// The device failed.
    #[error(transparent)]
    Compute(#[from] ComputeError),
}

/// Multiplies the embedding of each token by its weight, then scales those of each prompt back to their mean
/// over tokens and channels: the end of `get_weighted_text_embeddings` in diffusers' community pipeline
/// `lpw_stable_diffusion.py`. Prompts whose weights are all 1 stay as they are.
///
/// The arithmetic is that of `f32`; the result has the type of the embeddings.
///
/// # Shapes
/// - embeddings, output: `[prompts, tokens, width]`
/// - weights: one list per prompt, one weight per token
///
/// # Errors
///
/// Weights of another number, and weights after which an embedding is not a finite number, where the reference goes on
/// with NaN; a device that failed.
pub fn apply_weights(embeddings: Tensor<3>, weights: &[impl AsRef<[f32]>]) -> Result<Tensor<3>, ApplyWeightsError> {
    apply(embeddings, weights, None)
}

/// As [`apply_weights`], where several prompts are scaled by one mean: that of their group, in which each counts as often as `groups`
/// says. AUTOMATIC1111's program does so with the texts of a prompt that changes, which it encodes together, chunk by chunk
/// (`EmphasisOriginal` of `modules/sd_emphasis.py`).
///
/// # Shapes
/// - groups: for every prompt the number of its group, and how often it counts
///
/// # Errors
///
/// As [`apply_weights`].
///
/// # Panics
///
/// When there are not as many groups as prompts.
pub fn apply_weights_to_groups(
    embeddings: Tensor<3>,
    weights: &[impl AsRef<[f32]>],
    groups: &[(usize, usize)],
) -> Result<Tensor<3>, ApplyWeightsError> {
    let prompts = embeddings.dims()[0];
    assert_eq!(groups.len(), prompts, "a group for each prompt");
    let mut shares = vec![0.0_f32; prompts * prompts];
    for (row, (group, _)) in groups.iter().enumerate() {
        let same = || groups.iter().enumerate().filter(|(_, (other, _))| other == group);
        let all: usize = same().map(|(_, (_, count))| count).sum();
        same().for_each(|(column, (_, count))| shares[row * prompts + column] = *count as f32 / all as f32);
    }
    let shares = Tensor::<2>::from_data(TensorData::new(shares, [prompts, prompts]), &embeddings.device());
    apply(embeddings, weights, Some(&shares))
}

/// `shares`: how much each prompt counts in the mean of every one, `[prompts, prompts]`; without them each has its own.
fn apply(
    embeddings: Tensor<3>,
    weights: &[impl AsRef<[f32]>],
    shares: Option<&Tensor<2>>,
) -> Result<Tensor<3>, ApplyWeightsError> {
    let [prompts, tokens, _] = embeddings.dims();
    if weights.len() != prompts {
        return Err(ApplyWeightsError::Prompts { found: weights.len(), expected: prompts });
    }
    let mut factors = Vec::with_capacity(prompts * tokens);
    for (index, weights) in weights.iter().map(AsRef::as_ref).enumerate() {
        if weights.len() != tokens {
            return Err(ApplyWeightsError::Tokens { index, found: weights.len(), expected: tokens });
        }
        factors.extend_from_slice(weights);
    }

    let dtype = embeddings.dtype();
    let embeddings = embeddings.cast(FloatDType::F32);
    let factors = TensorData::new(factors, [prompts, tokens, 1]);
    let weighted = embeddings.clone() * Tensor::from_data(factors, &embeddings.device());
    let of_group = |means: Tensor<3>| match shares {
        Some(shares) => shares.clone().matmul(means.reshape([prompts, 1])).reshape([prompts, 1, 1]),
        None => means,
    };
    let weighted = weighted.clone() * (of_group(mean(embeddings)) / of_group(mean(weighted)));
    let weighted = weighted.cast(dtype);

    // A mean is finite only if all its numbers are.
    let means = ae_tensor::read(mean(weighted.clone().cast(FloatDType::F32)))?;
    match means.iter().position(|mean| !mean.is_finite()) {
        Some(index) => Err(ApplyWeightsError::NotFinite { index }),
        None => Ok(weighted),
    }
}

/// # Shapes
/// - output: `[prompts, 1, 1]`
fn mean(embeddings: Tensor<3>) -> Tensor<3> {
    embeddings.mean_dim(2).mean_dim(1)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, Tolerance};

    use super::*;

    fn embeddings() -> Tensor<3> {
        let values = (0..24_u8).map(|index| f32::from(index) * 0.25 - 1.0).collect();
        Tensor::from_data(TensorData::new(values, [2, 3, 4]), &Device::flex())
    }

    fn refusal(embeddings: Tensor<3>, weights: &[Vec<f32>]) -> String {
        apply_weights(embeddings, weights).unwrap_err().to_string()
    }

    /// ```python
    /// x, w = torch.arange(24).reshape(2, 3, 4) * 0.25 - 1, torch.tensor([[1, 1.5, 0.5], [1, 1, 1]])
    /// previous_mean = x.mean(axis=[-2, -1]); x *= w.unsqueeze(-1); current_mean = x.mean(axis=[-2, -1])
    /// x *= (previous_mean / current_mean).unsqueeze(-1).unsqueeze(-1)
    /// ```
    #[test]
    fn tokens_are_weighted_and_the_mean_is_kept() {
        let first = [-1.8, -1.35, -0.9, -0.45, 0.0, 0.675, 1.35, 2.025, 0.9, 1.125, 1.35, 1.575];
        let weighted = apply_weights(embeddings(), &[[1.0, 1.5, 0.5], [1.0; 3]]).unwrap();
        let expected = TensorData::new(first.to_vec(), [1, 3, 4]);
        let tolerance = Tolerance::<f32>::rel_abs(1e-6, 1e-6);
        weighted.clone().narrow(0, 0, 1).into_data().assert_approx_eq(&expected, tolerance);
        // Weights of 1 change nothing.
        weighted.narrow(0, 1, 1).into_data().assert_eq(&embeddings().narrow(0, 1, 1).into_data(), true);
    }

    /// `z.mean()` over the texts of a batch, of which the second is there twice.
    #[test]
    fn the_mean_of_a_group_is_kept_by_all_of_it() {
        let weights = [[1.0, 1.5, 0.5], [1.0; 3]];
        let alone = apply_weights(embeddings(), &weights).unwrap().into_data();
        let apart = apply_weights_to_groups(embeddings(), &weights, &[(0, 1), (1, 2)]).unwrap().into_data();
        apart.assert_approx_eq::<f32>(&alone, Tolerance::rel_abs(1e-6, 1e-6));
        let together = apply_weights_to_groups(embeddings(), &weights, &[(0, 1), (0, 2)]).unwrap();
        let factors = Tensor::<1>::from_floats([1.0, 1.5, 0.5, 1.0, 1.0, 1.0], &Device::flex()).reshape([2, 3, 1]);
        let weighted = embeddings() * factors;
        let mean = |of: &Tensor<3>| {
            let of: Vec<f32> = of.to_data().iter::<f32>().collect();
            (of[..12].iter().sum::<f32>() + 2.0 * of[12..].iter().sum::<f32>()) / 36.0
        };
        let factor = mean(&embeddings()) / mean(&weighted);
        let expected = weighted.mul_scalar(factor);
        together.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::rel_abs(1e-5, 1e-6));
    }

    #[test]
    fn half_precision_stays_half_precision() {
        let half = embeddings().cast(DType::F16);
        let weighted = apply_weights(half, &[[1.0, 1.5, 0.5], [1.0; 3]]).unwrap();
        assert_eq!(weighted.dtype(), DType::F16);
        let expected = apply_weights(embeddings(), &[[1.0, 1.5, 0.5], [1.0; 3]]).unwrap();
        let tolerance = Tolerance::<f32>::rel_abs(1e-3, 1e-3);
        weighted.cast(DType::F32).into_data().assert_approx_eq(&expected.into_data(), tolerance);
    }

    #[test]
    fn weights_of_another_number_are_refused() {
        let expected = "1 lists of weights for the embeddings of 2 prompts; expected one for each";
        assert_eq!(refusal(embeddings(), &[vec![1.0; 3]]), expected);
        let expected = "prompt 1 has 2 weights and 3 tokens; expected one for each";
        assert_eq!(refusal(embeddings(), &[vec![1.0; 3], vec![1.0; 2]]), expected);
    }

    #[test]
    fn weights_that_leave_no_numbers_are_refused() {
        let expected = "the weights of prompt 1 leave no embeddings: their mean is 0, or they are too large";
        for weight in [0.0, f32::MAX, f32::NAN, f32::INFINITY] {
            assert_eq!(refusal(embeddings(), &[vec![1.0; 3], vec![weight; 3]]), expected, "{weight}");
        }
    }
}
