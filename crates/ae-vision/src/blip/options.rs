use super::config::BlipTextConfig;

/// How the ids of a caption are searched for, with the defaults of `BlipCaption.generate` in LAVIS
/// (`lavis/models/blip_models/blip_caption.py`) and the beam search of transformers 5.
///
/// LAVIS's `repetition_penalty` of 1 is none. Lengths count the begin token, the prompt and the end token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationOptions {
    /// The number of beams; 1 is greedy search.
    pub num_beams: usize,
    /// The length at which a caption ends even without an end token.
    pub max_length: usize,
    /// The length below which no caption ends.
    pub min_length: usize,
    /// By what beams of different lengths are compared.
    pub scoring: BeamScoring,
}

/// By what captions that are over are compared with each other and with those that go on, when there are several beams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BeamScoring {
    /// The mean log-probability of the tokens behind the prompt, the end token among them: transformers 5.
    #[default]
    Generated,
    /// The sum of the log-probabilities divided by the length with the prompt and without the end token: transformers before
    /// 4.27, which LAVIS requires (`lavis/models/blip_models/blip.py`). Of two beams it may prefer the other, shorter one.
    WholeSequence,
}

impl Default for GenerationOptions {
    fn default() -> Self {
        Self { num_beams: 3, max_length: 30, min_length: 10, scoring: BeamScoring::default() }
    }
}

/// How pictures are captioned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptionOptions {
    /// What every caption begins with, and what is cut from it again. LAVIS's default is `"a picture of "`.
    pub prompt: String,
    /// The search.
    pub generation: GenerationOptions,
    /// The number of pictures that are captioned together. The captions do not depend on it; in single precision the base
    /// model keeps 43 MB of each, and of their beams a megabyte.
    pub batch_size: usize,
}

impl Default for CaptionOptions {
    fn default() -> Self {
        Self { prompt: "a picture of ".to_owned(), generation: GenerationOptions::default(), batch_size: 4 }
    }
}

impl CaptionOptions {
    /// Those of the paper's metric to the letter: the defaults, with the beam search of the transformers that LAVIS runs on.
    pub fn of_the_paper() -> Self {
        let generation = GenerationOptions { scoring: BeamScoring::WholeSequence, ..GenerationOptions::default() };
        Self { generation, ..Self::default() }
    }
}

/// Options that ask for the impossible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// No beam, or more than the vocabulary has candidates for.
    #[error("num_beams is {found}; expected 1..={max}")]
    NumBeams {
        /// The number of beams.
        found: usize,
        /// The largest number accepted.
        max: usize,
    },
    /// No room behind the prompt, or more than the model has positions.
    #[error(
        "max_length is {found}; expected {min}..={max}: one more than the prompt's tokens, up to the model's positions"
    )]
    MaxLength {
        /// The length.
        found: usize,
        /// The smallest length accepted.
        min: usize,
        /// The largest length accepted.
        max: usize,
    },
    /// A caption could never end.
    #[error("min_length is {found}; expected at most max_length, which is {max}")]
    MinLength {
        /// The length.
        found: usize,
        /// The largest length accepted.
        max: usize,
    },
    /// Pictures in batches of none.
    #[error("batch_size is 0; expected at least 1")]
    BatchSize,
    /// A prompt of no token; the begin token is one.
    #[error("the prompt has no token id; expected the begin token at least")]
    Prompt,
    /// A token of the prompt that the model does not know.
    #[error(
        "token id {id} of the prompt is beyond the model's {vocab_size} tokens: tokenizer and model do not belong together"
    )]
    UnknownId {
        /// The id.
        id: u32,
        /// The number of tokens.
        vocab_size: usize,
    },
}

/// More beams than anybody searches with.
const MAX_BEAMS: usize = 64;

impl GenerationOptions {
    /// Whether the model can do this behind the ids of a prompt.
    pub(super) fn check(&self, prompt: &[u32], config: &BlipTextConfig) -> Result<(), OptionsError> {
        let vocab_size = config.vocab_size;
        if prompt.is_empty() {
            return Err(OptionsError::Prompt);
        }
        if let Some(&id) = prompt.iter().find(|id| **id as usize >= vocab_size) {
            return Err(OptionsError::UnknownId { id, vocab_size });
        }
        // Two candidates for every beam, without the end token.
        let (found, max) = (self.num_beams, MAX_BEAMS.min((vocab_size - 1) / 2));
        if !(1..=max).contains(&found) {
            return Err(OptionsError::NumBeams { found, max });
        }
        let (found, min, max) = (self.max_length, prompt.len() + 1, config.max_position_embeddings);
        if !(min..=max).contains(&found) {
            return Err(OptionsError::MaxLength { found, min, max });
        }
        if self.min_length > self.max_length {
            return Err(OptionsError::MinLength { found: self.min_length, max: self.max_length });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BlipConfig;

    fn refusal(prompt: &[u32], num_beams: usize, max_length: usize, min_length: usize) -> String {
        let config = BlipConfig::from_json("{}").unwrap().text;
        let options = GenerationOptions { num_beams, max_length, min_length, ..GenerationOptions::default() };
        options.check(prompt, &config).unwrap_err().to_string()
    }

    #[test]
    fn the_impossible_is_named() {
        assert_eq!(refusal(&[1], 0, 30, 10), "num_beams is 0; expected 1..=64");
        assert!(refusal(&[1], 1000, 30, 10).starts_with("num_beams is 1000"));
        assert!(refusal(&[1; 30], 3, 30, 10).starts_with("max_length is 30; expected 31..=512"));
        assert!(refusal(&[1], 3, 513, 10).starts_with("max_length is 513; expected 2..=512"));
        assert!(refusal(&[1; 600], 3, 601, 10).starts_with("max_length is 601"));
        assert_eq!(refusal(&[1], 3, 30, 31), "min_length is 31; expected at most max_length, which is 30");
        assert!(refusal(&[], 3, 30, 10).starts_with("the prompt has no token id"));
        assert!(refusal(&[1, 30_524], 3, 30, 10).starts_with("token id 30524 of the prompt"));
    }

    #[test]
    fn beams_need_candidates() {
        let json = r#"{"text_config": {"vocab_size": 6, "bos_token_id": 5, "sep_token_id": 4}}"#;
        let config = BlipConfig::from_json(json).unwrap().text;
        let check = |num_beams| GenerationOptions { num_beams, ..GenerationOptions::default() }.check(&[5], &config);
        assert_eq!(check(2), Ok(()));
        assert_eq!(check(3), Err(OptionsError::NumBeams { found: 3, max: 2 }));
    }
}
