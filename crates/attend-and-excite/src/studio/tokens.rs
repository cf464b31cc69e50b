use ae_pipeline::{SubjectChoice, TokenizedPrompt, subject_name, unknown_nouns};
use ae_server::{PromptToken, Tokens, Truncation, Word};
use ae_settings::Vocabulary;

use crate::recorder::{kind_name, shown_tokens};

/// The tokens as the API shows them.
pub(super) fn describe(prompt: &TokenizedPrompt, vocabulary: Option<&Vocabulary>) -> Tokens {
    // Without a noun nothing is chosen.
    let automatic = SubjectChoice::Auto.resolve(prompt).unwrap_or_default();
    let chosen = |positions: &[usize]| automatic.iter().any(|subject| subject.positions == positions);
    let tokens = shown_tokens(prompt).map(|token| PromptToken {
        index: token.index,
        text: token.text.clone(),
        kind: kind_name(token.kind).to_owned(),
        word: token.word,
    });
    let words = prompt.words().iter().enumerate().map(|(index, word)| Word {
        text: word.text.clone(),
        subject: subject_name(prompt, index),
        positions: word.positions.clone(),
        automatic: chosen(&word.positions),
    });
    Tokens {
        tokens: tokens.collect(),
        words: words.collect(),
        unknown: vocabulary.map(|known| unknown_nouns(known, [prompt])).unwrap_or_default(),
        truncation: prompt.truncation().map(|cut| Truncation { tokens: cut.tokens, text: cut.text.clone() }),
    }
}
