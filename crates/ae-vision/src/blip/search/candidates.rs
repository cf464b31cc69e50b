use super::log_softmax::log_softmax;
use super::{Limits, NotFinite};

/// A beam with a token behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// The beam.
    pub(super) row: usize,
    /// The token.
    pub(super) token: usize,
    /// The sum of the logarithms of all tokens' probabilities.
    pub(super) score: f32,
}

/// The `count` best continuations of all beams, the best first; of equal ones the first.
pub(super) fn best_candidates(
    limits: &Limits,
    length: usize,
    scores: &[f32],
    logits: &[f32],
    count: usize,
) -> Result<Vec<Candidate>, NotFinite> {
    let vocab_size = logits.len() / scores.len();
    let excluded = limits.is_too_short(length).then_some(limits.end);
    let mut best: Vec<Candidate> = Vec::with_capacity(count + 1);
    for (row, (logits, before)) in logits.chunks(vocab_size).zip(scores).enumerate() {
        for (token, log_prob) in log_softmax(logits)?.into_iter().enumerate() {
            let score = log_prob + before;
            let is_too_low = best.len() == count && best.last().is_some_and(|last| score <= last.score);
            if is_too_low || Some(token) == excluded {
                continue;
            }
            let place = best.partition_point(|other| other.score >= score);
            best.insert(place, Candidate { row, token, score });
            best.truncate(count);
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { prompt: 1, max_length: 9, min_length: 5, end: 1 };

    fn best(length: usize) -> Vec<(usize, usize)> {
        let (scores, logits) = ([-1.0, 0.0], [5.0, 6.0, 5.0, 1.0, 1.0, 1.0]);
        let best = best_candidates(&LIMITS, length, &scores, &logits, 4).unwrap();
        best.iter().map(|candidate| (candidate.row, candidate.token)).collect()
    }

    /// ```python
    /// scores = torch.tensor([[5., 6., 5.], [1., 1., 1.]]).log_softmax(1) + torch.tensor([[-1.], [0.]])
    /// scores.flatten().topk(4)  # -1.0986 three times, -1.5514
    /// ```
    #[test]
    fn the_best_come_first_and_the_first_of_equals() {
        assert_eq!(best(5), [(1, 0), (1, 1), (1, 2), (0, 1)]);
    }

    #[test]
    fn the_end_is_no_candidate_before_the_shortest_length() {
        assert_eq!(best(4), [(1, 0), (1, 2), (0, 0), (0, 2)]);
    }
}
