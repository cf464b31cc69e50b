use std::ops::{Range, RangeInclusive};

use ae_clip::{TokenizedPrompt, find_phrases};
use ae_phrases::noun_phrases;

use crate::PipelineError;

/// Which noun phrases of the prompt StructureDiffusion encodes by themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PhraseChoice {
    /// Those of several words that the prompt has.
    #[default]
    Auto,
    /// These, as they stand in the prompt.
    Phrases(Vec<String>),
}

/// A phrase of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// As it is written in the prompt.
    pub text: String,
    /// The positions of its tokens.
    pub positions: RangeInclusive<usize>,
}

impl PhraseChoice {
    /// The phrases that the choice means in a prompt; none where an automatic choice finds none.
    ///
    /// # Errors
    ///
    /// When a phrase is not in the prompt.
    pub fn resolve(&self, prompt: &TokenizedPrompt) -> Result<Vec<Phrase>, PipelineError> {
        let positions: Vec<_> = match self {
            Self::Auto => {
                let phrases = noun_phrases(prompt.text()).into_iter();
                let phrases = phrases.filter_map(|phrase| positions(prompt, &phrase.span));
                // What a word says alone it also says in the prompt.
                phrases.filter(|positions| positions.start() < positions.end()).collect()
            }
            Self::Phrases(phrases) => find_phrases(prompt, phrases)?,
        };
        Ok(positions.into_iter().map(|positions| Phrase { text: text(prompt, &positions), positions }).collect())
    }
}

/// The positions of the tokens in some bytes of the prompt, if all of them fit.
fn positions(prompt: &TokenizedPrompt, bytes: &Range<usize>) -> Option<RangeInclusive<usize>> {
    let is_inside = |span: &Range<usize>| span.start < bytes.end && bytes.start < span.end;
    let is_cut = prompt.words().iter().any(|word| word.is_cut && is_inside(&word.span));
    let inside = prompt.tokens().iter().filter(|token| token.span.as_ref().is_some_and(is_inside));
    let positions: Vec<_> = inside.map(|token| token.index).collect();
    if is_cut { None } else { Some(*positions.first()?..=*positions.last()?) }
}

fn text(prompt: &TokenizedPrompt, positions: &RangeInclusive<usize>) -> String {
    let span = |position: usize| prompt.tokens()[position].span.clone();
    let ends = span(*positions.start()).zip(span(*positions.end()));
    ends.and_then(|(first, last)| prompt.text().get(first.start..last.end)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use ae_clip::ClipTokenizer;

    use super::*;

    fn phrases(choice: &PhraseChoice, prompt: &str) -> Vec<(String, RangeInclusive<usize>)> {
        let prompt = ClipTokenizer::stable_diffusion_1().tokenize(prompt).unwrap();
        choice.resolve(&prompt).unwrap().into_iter().map(|phrase| (phrase.text, phrase.positions)).collect()
    }

    #[test]
    fn the_phrases_of_the_benchmark_are_its_halves() {
        let found = phrases(&PhraseChoice::Auto, "a red backpack and a blue chair");
        assert_eq!(found, [("a red backpack".to_owned(), 1..=3), ("a blue chair".to_owned(), 5..=7)]);
        let found = phrases(&PhraseChoice::Auto, "a dog sleeping on the old sofa, foxes");
        assert_eq!(found, [("a dog".to_owned(), 1..=2), ("the old sofa".to_owned(), 5..=7)]);
        let found = phrases(&PhraseChoice::Auto, "a frog with a crown");
        assert_eq!(found, [("a frog".to_owned(), 1..=2), ("a crown".to_owned(), 4..=5)]);
    }

    #[test]
    fn a_phrase_that_was_cut_is_left_out() {
        let prompt = format!("a cat {}and a dog", "in bed ".repeat(36));
        assert_eq!(phrases(&PhraseChoice::Auto, &prompt), [("a cat".to_owned(), 1..=2)]);
    }

    #[test]
    fn named_phrases_are_found() {
        let named = PhraseChoice::Phrases(vec!["red cat".to_owned(), "dog".to_owned()]);
        let found = phrases(&named, "a red cat and a dog");
        assert_eq!(found, [("red cat".to_owned(), 2..=3), ("dog".to_owned(), 6..=6)]);
        let prompt = ClipTokenizer::stable_diffusion_1().tokenize("a lion").unwrap();
        let refusal = named.resolve(&prompt).unwrap_err().to_string();
        assert_eq!(refusal, "'red cat' is not in the prompt; its words are: a, lion");
    }
}
