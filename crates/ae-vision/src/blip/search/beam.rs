use super::candidates::{Candidate, best_candidates};
use super::{Limits, NotFinite, Progress};

/// Beam search with a length penalty of 1 and `early_stopping=False`: transformers' `_beam_search`.
///
/// There the captions of a batch wait for each other; what is found for one does not depend on the others.
#[derive(Debug)]
pub(in crate::blip) struct BeamSearch {
    limits: Limits,
    num_beams: usize,
    /// At first the prompt alone, later `num_beams`; the best first.
    running: Vec<Beam>,
    /// At most `num_beams`, the best first.
    finished: Vec<Finished>,
}

/// A caption that may go on.
#[derive(Clone, Debug)]
struct Beam {
    /// Without the prompt.
    ids: Vec<u32>,
    /// The sum of the logarithms of the tokens' probabilities.
    score: f32,
}

/// A caption that is over.
#[derive(Clone, Debug)]
struct Finished {
    ids: Vec<u32>,
    /// The mean of the logarithms of the tokens' probabilities, without the prompt's.
    score: f32,
}

impl BeamSearch {
    pub(super) fn new(limits: Limits, num_beams: usize) -> Self {
        let running = vec![Beam { ids: Vec::new(), score: 0.0 }];
        Self { limits, num_beams, running, finished: Vec::new() }
    }

    pub(super) fn rows(&self) -> usize {
        self.running.len()
    }

    pub(super) fn advance(&mut self, logits: &[f32]) -> Result<Progress, NotFinite> {
        let Self { limits, num_beams, .. } = *self;
        let generated = self.running[0].ids.len() + 1;
        let length = limits.prompt + generated;
        let scores: Vec<f32> = self.running.iter().map(|beam| beam.score).collect();
        // Twice as many as beams: each beam has one end, so that enough are left to go on with.
        let candidates = best_candidates(&limits, length - 1, &scores, logits, 2 * num_beams)?;

        for (rank, candidate) in candidates.iter().enumerate() {
            // The second half is there to go on with, not to end with.
            if rank < num_beams && limits.is_over(length, candidate.token) {
                self.finish(candidate, generated);
            }
        }
        let going_on: Vec<Candidate> = candidates
            .into_iter()
            .filter(|candidate| !limits.is_over(length, candidate.token))
            .take(num_beams)
            .collect();
        if going_on.first().is_none_or(|best| !self.could_improve(best.score, generated)) {
            return Ok(Progress::Done(std::mem::take(&mut self.finished[0].ids)));
        }
        self.running = going_on.iter().map(|candidate| self.continued(candidate)).collect();
        Ok(Progress::Continue(going_on.iter().map(|candidate| (candidate.row, id(candidate))).collect()))
    }

    /// Keeps the caption if it is among the best that are over (`_update_finished_beams`).
    fn finish(&mut self, candidate: &Candidate, generated: usize) {
        let Beam { ids, score } = self.continued(candidate);
        let score = score / generated as f32;
        let place = self.finished.partition_point(|other| other.score >= score);
        self.finished.insert(place, Finished { ids, score });
        self.finished.truncate(self.num_beams);
    }

    /// Whether a caption that goes on could be better than one that is over, if its tokens stay as likely as they are
    /// (`_check_early_stop_heuristic`).
    fn could_improve(&self, best: f32, generated: usize) -> bool {
        let has_room = self.finished.len() < self.num_beams;
        has_room || self.finished.last().is_some_and(|worst| best / generated as f32 > worst.score)
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
