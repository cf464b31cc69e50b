//! The search for the ids of one caption: transformers' `generate` without sampling (`generation/utils.py`).

mod beam;
mod candidates;
mod log_softmax;

pub(super) use beam::BeamSearch;
pub(super) use log_softmax::NotFinite;

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
