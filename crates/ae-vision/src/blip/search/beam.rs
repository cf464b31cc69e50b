use super::candidates::{Candidate, best_candidates};
use super::{Limits, NotFinite, Progress};
use crate::blip::options::{BeamScoring, GenerationOptions};

/// Beam search with a length penalty of 1 and `early_stopping=False`: transformers' `_beam_search`, or the `beam_search` and
/// `BeamSearchScorer` that were before it. With one beam it is greedy search: the likeliest token, each time.
///
/// There the captions of a batch wait for each other; what is found for one does not depend on the others.
#[derive(Debug)]
pub(in crate::blip) struct BeamSearch {
    limits: Limits,
    num_beams: usize,
    scoring: BeamScoring,
    /// At first the prompt alone, later `num_beams`; the best first.
    running: Vec<Beam>,
    /// Those that are over, with their score by the length: at most `num_beams`, the best first.
    finished: Vec<Beam>,
}

/// A caption.
#[derive(Clone, Debug)]
struct Beam {
    /// Without the prompt.
    ids: Vec<u32>,
    /// The sum of the logarithms of the tokens' probabilities.
    score: f32,
}

impl BeamSearch {
    /// Behind a prompt of so many ids; `end` is the token a caption ends with.
    pub(in crate::blip) fn new(prompt: usize, end: u32, options: &GenerationOptions) -> Self {
        let GenerationOptions { num_beams, max_length, min_length, scoring } = *options;
        Self::with_limits(Limits { prompt, max_length, min_length, end: end as usize }, num_beams, scoring)
    }

    fn with_limits(limits: Limits, num_beams: usize, scoring: BeamScoring) -> Self {
        let running = vec![Beam { ids: Vec::new(), score: 0.0 }];
        Self { limits, num_beams, scoring, running, finished: Vec::new() }
    }

    /// The number of rows that [`Self::advance`] expects.
    pub(in crate::blip) fn rows(&self) -> usize {
        self.running.len()
    }

    /// Goes one token further.
    ///
    /// # Shapes
    /// - logits: `[rows, vocab_size]`, of the row of the prompt and then of those that [`Progress::Continue`] named
    ///
    /// # Errors
    ///
    /// When the logits are no numbers.
    pub(in crate::blip) fn advance(&mut self, logits: &[f32]) -> Result<Progress, NotFinite> {
        let Self { limits, num_beams, .. } = *self;
        let generated = self.running[0].ids.len() + 1;
        let length = limits.prompt + generated;
        let scores: Vec<f32> = self.running.iter().map(|beam| beam.score).collect();
        // Twice as many as beams: each beam has one end, so that enough are left to go on with.
        let candidates = best_candidates(&limits, length - 1, &scores, logits, 2 * num_beams)?;
        // The second half is there to go on with, not to end with.
        let (best, _) = candidates.split_at(num_beams.min(candidates.len()));
        let going_on: Vec<Candidate> =
            candidates.iter().copied().filter(|candidate| candidate.token != limits.end).take(num_beams).collect();
        let is_last = length >= limits.max_length;

        let is_done = match self.scoring {
            BeamScoring::Generated => {
                let over = best.iter().filter(|candidate| limits.is_over(length, candidate.token));
                over.for_each(|candidate| self.finish(candidate, generated));
                is_last || self.cannot_improve(going_on[0].score, generated)
            }
            BeamScoring::WholeSequence => {
                let ended = best.iter().filter(|candidate| candidate.token == limits.end);
                ended.for_each(|candidate| self.finish(candidate, length - 1));
                let is_done = self.cannot_improve(candidates[0].score, length - 1);
                if is_last && !is_done {
                    for candidate in &going_on {
                        self.finish(candidate, length);
                    }
                }
                is_last || is_done
            }
        };
        if is_done {
            return Ok(Progress::Done(std::mem::take(&mut self.finished[0].ids)));
        }
        self.running = going_on.iter().map(|candidate| self.continued(candidate)).collect();
        Ok(Progress::Continue(going_on.iter().map(|candidate| (candidate.row, id(candidate))).collect()))
    }

    /// Keeps the caption if it is among the best that are over.
    fn finish(&mut self, candidate: &Candidate, length: usize) {
        let Beam { ids, score } = self.continued(candidate);
        let score = score / length as f32;
        let place = self.finished.partition_point(|other| other.score >= score);
        self.finished.insert(place, Beam { ids, score });
        self.finished.truncate(self.num_beams);
    }

    /// Whether there are enough captions that are over, and none that goes on could be better than the worst of them if its
    /// tokens stay as likely as they are.
    fn cannot_improve(&self, best: f32, length: usize) -> bool {
        let is_full = self.finished.len() == self.num_beams;
        is_full && self.finished.last().is_some_and(|worst| worst.score >= best / length as f32)
    }

    fn continued(&self, candidate: &Candidate) -> Beam {
        let mut ids = self.running[candidate.row].ids.clone();
        ids.push(id(candidate));
        Beam { ids, score: candidate.score }
    }
}

fn id(candidate: &Candidate) -> u32 {
    u32::try_from(candidate.token).expect("ids are small")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(scoring: BeamScoring) -> BeamSearch {
        BeamSearch::with_limits(Limits { prompt: 4, max_length: 9, min_length: 0, end: 0 }, 2, scoring)
    }

    fn logits(rows: &[[f32; 5]]) -> Vec<f32> {
        rows.concat().into_iter().map(f32::ln).collect()
    }

    /// The end at once has ln(0.45) = -0.80, one token before it ln(0.5 * 0.7) = -1.05: by one and two tokens -0.80 and -0.52,
    /// by the four of the prompt and none or one -0.20 and -0.21.
    #[test]
    fn the_scoring_decides_between_short_and_long() {
        for (scoring, expected) in [(BeamScoring::Generated, vec![1, 0]), (BeamScoring::WholeSequence, vec![0])] {
            let mut search = search(scoring);
            assert_eq!(search.rows(), 1);
            let progress = search.advance(&logits(&[[0.45, 0.5, 0.03, 0.01, 0.01]])).unwrap();
            assert_eq!(progress, Progress::Continue(vec![(0, 1), (0, 2)]));
            assert_eq!(search.rows(), 2);
            let rows = [[0.7, 0.27, 0.01, 0.01, 0.01], [0.2; 5]];
            assert_eq!(search.advance(&logits(&rows)), Ok(Progress::Done(expected)), "{scoring:?}");
        }
    }

    #[test]
    fn an_end_behind_the_best_is_no_caption() {
        let mut search = search(BeamScoring::Generated);
        let progress = search.advance(&logits(&[[0.2, 0.3, 0.3, 0.1, 0.1]])).unwrap();
        assert_eq!(progress, Progress::Continue(vec![(0, 1), (0, 2)]));
        assert!(search.finished.is_empty());
    }

    #[test]
    fn beams_change_places() {
        let mut search = search(BeamScoring::Generated);
        search.advance(&logits(&[[0.01, 0.5, 0.47, 0.01, 0.01]])).unwrap();
        let rows = [[0.01, 0.24, 0.25, 0.25, 0.25], [0.01, 0.01, 0.01, 0.9, 0.07]];
        assert_eq!(search.advance(&logits(&rows)), Ok(Progress::Continue(vec![(1, 3), (0, 2)])));
        let ids: Vec<_> = search.running.iter().map(|beam| beam.ids.clone()).collect();
        assert_eq!(ids, [[2, 3], [1, 2]]);
    }

    #[test]
    fn the_longest_length_ends_without_the_end() {
        for scoring in [BeamScoring::Generated, BeamScoring::WholeSequence] {
            let mut search = search(scoring);
            let row = [0.01, 0.9, 0.03, 0.03, 0.03];
            for rows in [1, 2, 2, 2] {
                assert!(matches!(search.advance(&logits(&vec![row; rows])), Ok(Progress::Continue(_))));
            }
            assert_eq!(search.advance(&logits(&[row; 2])), Ok(Progress::Done(vec![1; 5])), "{scoring:?}");
        }
    }

    fn greedy() -> BeamSearch {
        let limits = Limits { prompt: 2, max_length: 5, min_length: 4, end: 0 };
        BeamSearch::with_limits(limits, 1, BeamScoring::Generated)
    }

    #[test]
    fn the_end_waits_for_the_shortest_length() {
        let mut search = greedy();
        let logits = [9.0, 1.0, 2.0, 2.0];
        assert_eq!(search.advance(&logits), Ok(Progress::Continue(vec![(0, 2)])));
        assert_eq!(search.advance(&logits), Ok(Progress::Continue(vec![(0, 2)])));
        assert_eq!(search.advance(&logits), Ok(Progress::Done(vec![2, 2, 0])));
    }

    #[test]
    fn one_beam_ends_at_the_longest_length() {
        let mut search = greedy();
        assert_eq!(search.advance(&[f32::NAN, 0.0]), Err(NotFinite));
        for _ in 0..2 {
            assert!(matches!(search.advance(&[0.0, 1.0]), Ok(Progress::Continue(_))));
        }
        assert_eq!(search.advance(&[0.0, 1.0]), Ok(Progress::Done(vec![1, 1, 1])));
    }
}
