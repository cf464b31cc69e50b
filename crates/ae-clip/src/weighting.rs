mod apply;
mod parse;

pub use apply::{ApplyWeightsError, apply_weights, apply_weights_to_groups};
pub(crate) use parse::is_break;
pub use parse::{WeightError, parse_weighted_prompt};

use crate::prompt::TokenizedPrompt;

/// A prompt with a weight for each of its tokens, from
/// [`ClipTokenizer::tokenize_weighted`](crate::ClipTokenizer::tokenize_weighted).
#[derive(Clone, Debug, PartialEq)]
pub struct WeightedPrompt {
    /// The tokens. Its text is the prompt without the syntax of the weights.
    pub prompt: TokenizedPrompt,
    /// The weight of each position of [`TokenizedPrompt::tokens`], finite; 1 at start, end and padding.
    pub weights: Vec<f32>,
}
