/// Logits that are no numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::blip) struct NotFinite;

/// `torch.nn.functional.log_softmax` of a row.
pub(super) fn log_softmax(logits: &[f32]) -> Result<Vec<f32>, NotFinite> {
    if !logits.iter().all(|logit| logit.is_finite()) {
        return Err(NotFinite);
    }
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from((logit - max).exp())).sum();
    let log_sum = sum.ln() as f32;
    Ok(logits.iter().map(|logit| logit - max - log_sum).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `torch.nn.functional.log_softmax(torch.tensor([1., 3., -2., 100.]), 0)`, and without the last.
    #[test]
    fn equals_torch() {
        assert_eq!(log_softmax(&[1.0, 3.0, -2.0, 100.0]), Ok(vec![-99.0, -97.0, -102.0, 0.0]));
        let expected = [-2.132_845_2, -0.132_845_27, -5.132_845_4];
        for (actual, expected) in log_softmax(&[1.0, 3.0, -2.0]).unwrap().iter().zip(expected) {
            assert!((actual - expected).abs() < 1e-6, "{actual}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for logit in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(log_softmax(&[1.0, logit]), Err(NotFinite));
        }
    }
}
