use super::{Limits, NotFinite, Progress};

/// The likeliest token, each time: `generate` with one beam.
#[derive(Debug)]
pub(in crate::blip) struct GreedySearch {
    limits: Limits,
    ids: Vec<u32>,
}

impl GreedySearch {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, ids: Vec::new() }
    }

    pub(super) fn advance(&mut self, logits: &[f32]) -> Result<Progress, NotFinite> {
        if !logits.iter().all(|logit| logit.is_finite()) {
            return Err(NotFinite);
        }
        let length = self.limits.prompt + self.ids.len();
        let excluded = self.limits.is_too_short(length).then_some(self.limits.end);
        let tokens = logits.iter().enumerate().filter(|(token, _)| Some(*token) != excluded);
        // The first of equal ones, like torch.argmax.
        let (token, _) = tokens.reduce(|best, next| if next.1 > best.1 { next } else { best }).expect("a vocabulary");
        let id = u32::try_from(token).expect("ids are small");
        self.ids.push(id);
        Ok(if self.limits.is_over(length + 1, token) {
            Progress::Done(std::mem::take(&mut self.ids))
        } else {
            Progress::Continue(vec![(0, id)])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search() -> GreedySearch {
        GreedySearch::new(Limits { prompt: 2, max_length: 5, min_length: 4, end: 0 })
    }

    #[test]
    fn the_end_waits_for_the_shortest_length() {
        let mut search = search();
        let logits = [9.0, 1.0, 2.0, 2.0];
        assert_eq!(search.advance(&logits), Ok(Progress::Continue(vec![(0, 2)])));
        assert_eq!(search.advance(&logits), Ok(Progress::Continue(vec![(0, 2)])));
        assert_eq!(search.advance(&logits), Ok(Progress::Done(vec![2, 2, 0])));
    }

    #[test]
    fn the_longest_length_ends_without_the_end() {
        let mut search = search();
        for _ in 0..2 {
            assert!(matches!(search.advance(&[0.0, 1.0]), Ok(Progress::Continue(_))));
        }
        assert_eq!(search.advance(&[0.0, 1.0]), Ok(Progress::Done(vec![1, 1, 1])));
        assert_eq!(search.advance(&[f32::NAN]), Err(NotFinite));
    }
}
