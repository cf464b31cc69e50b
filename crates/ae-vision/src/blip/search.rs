//! The search for the ids of one caption: transformers' `generate` without sampling (`generation/utils.py`).

mod beam;
mod candidates;
mod greedy;
mod log_softmax;

pub(super) use log_softmax::NotFinite;

use super::options::GenerationOptions;
use beam::BeamSearch;
use greedy::GreedySearch;

/// What a search knows of the caption.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// The number of ids that the caption begins with.
    prompt: usize,
    max_length: usize,
    min_length: usize,
    /// The token a caption ends with.
    end: usize,
}

impl Limits {
    /// Whether a caption of so many ids may not end with the next one (`MinLengthLogitsProcessor`).
    fn is_too_short(&self, length: usize) -> bool {
        length < self.min_length
    }

    /// Whether a caption of so many ids, this one at last, is over (`EosTokenCriteria`, `MaxLengthCriteria`).
    fn is_over(&self, length: usize, token: usize) -> bool {
        token == self.end || length >= self.max_length
    }
}

/// What becomes of the rows of logits that a search was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// These rows, by their place among those shown, with the token that follows.
    Continue(Vec<(usize, u32)>),
    /// The ids of the caption, without the prompt; the end token is the last unless the length was reached.
    Done(Vec<u32>),
}

/// The search for one caption.
#[derive(Debug)]
pub(super) enum Search {
    Greedy(GreedySearch),
    Beam(BeamSearch),
}

impl Search {
    /// Behind a prompt of so many ids; `end` is the token a caption ends with.
    pub(super) fn new(prompt: usize, end: u32, options: &GenerationOptions) -> Self {
        let GenerationOptions { num_beams, max_length, min_length, scoring } = *options;
        let limits = Limits { prompt, max_length, min_length, end: end as usize };
        match num_beams {
            1 => Self::Greedy(GreedySearch::new(limits)),
            _ => Self::Beam(BeamSearch::new(limits, num_beams, scoring)),
        }
    }

    /// The number of rows that [`Self::advance`] expects.
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Greedy(_) => 1,
            Self::Beam(search) => search.rows(),
        }
    }

    /// Goes one token further.
    ///
    /// # Shapes
    /// - logits: `[rows, vocab_size]`, of the row of the prompt and then of those that [`Progress::Continue`] named
    ///
    /// # Errors
    ///
    /// When the logits are no numbers.
    pub(super) fn advance(&mut self, logits: &[f32]) -> Result<Progress, NotFinite> {
        match self {
            Self::Greedy(search) => search.advance(logits),
            Self::Beam(search) => search.advance(logits),
        }
    }
}
