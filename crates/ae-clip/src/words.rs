use std::ops::Range;
use std::sync::LazyLock;

use serde::Serialize;
use tokenizers::NormalizedString;
use tokenizers::utils::SysRegex;

/// A word of a prompt, and where its tokens are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Word {
    /// The word as it is written in the prompt.
    pub text: String,
    /// The bytes of the prompt it covers.
    pub span: Range<usize>,
    /// The positions of its tokens that fit, ascending.
    pub positions: Vec<usize>,
    /// Whether tokens of the word were cut off; [`Self::positions`] then lacks them.
    pub is_cut: bool,
    /// What words are compared by.
    #[serde(skip)]
    pub(crate) key: String,
}

/// Letters, digits and combining marks, joined by single hyphens and apostrophes.
static WORD: LazyLock<SysRegex> = LazyLock::new(|| {
    SysRegex::new(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*(?:[-'’][\p{L}\p{N}\p{M}]+)*").expect("the pattern is a constant")
});

/// The byte spans of the words of a text.
///
/// A possessive `'s` belongs to no word: CLIP makes it a token of its own, and its attention is not the
/// owner's.
pub(crate) fn word_spans(text: &str) -> Vec<Range<usize>> {
    let spans = WORD.find_iter(text).map(|(start, end)| {
        let mut word = &text[start..end];
        while let Some(owner) = ["'s", "'S", "’s", "’S"].iter().find_map(|possessive| word.strip_suffix(possessive))
        {
            word = owner;
        }
        start..start + word.len()
    });
    spans.collect()
}

/// The form in which words are equal: composed (NFC) and lowercase, as CLIP reads them.
pub(crate) fn key(word: &str) -> String {
    let mut normalized = NormalizedString::from(word);
    normalized.nfc().lowercase();
    normalized.get().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        word_spans(text).into_iter().map(|span| &text[span]).collect()
    }

    #[test]
    fn punctuation_and_white_space_separate_words() {
        assert_eq!(
            words("a cat, (a dog:1.3)\nand/or\u{a0}birds!"),
            ["a", "cat", "a", "dog", "1", "3", "and", "or", "birds"]
        );
        assert_eq!(words(" ,.!? 🐱 "), [""; 0]);
    }

    #[test]
    fn hyphens_and_apostrophes_join_inside_words_only() {
        assert_eq!(words("a t-shirt - 'rock'n'roll' don't"), ["a", "t-shirt", "rock'n'roll", "don't"]);
        assert_eq!(words("cat--dog cat—dog -cat-"), ["cat", "dog", "cat", "dog", "cat"]);
    }

    #[test]
    fn a_possessive_is_no_part_of_its_owner() {
        assert_eq!(
            words("the cat's bowl, the DOG’S bow, the bears' den"),
            ["the", "cat", "bowl", "the", "DOG", "bow", "the", "bears", "den"]
        );
    }

    #[test]
    fn marks_belong_to_their_letters() {
        assert_eq!(words("cafe\u{301} बिल्ली"), ["cafe\u{301}", "बिल्ली"]);
        assert_eq!(key("CAFE\u{301}"), key("café"));
    }
}
