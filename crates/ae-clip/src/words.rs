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
    /// What words are compared by. That of a placeholder `<toy>` is `toy`.
    #[serde(skip)]
    pub(crate) key: String,
    /// The key of a textual inversion's whole name, such as `<toy>`, when the word is its placeholder.
    #[serde(skip)]
    pub(crate) placeholder: Option<String>,
}

impl Word {
    /// Whether it is the placeholder of a textual inversion.
    pub fn is_placeholder(&self) -> bool {
        self.placeholder.is_some()
    }
}

/// Letters, digits and combining marks, joined by single hyphens and apostrophes.
static WORD: LazyLock<SysRegex> = LazyLock::new(|| {
    SysRegex::new(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*(?:[-'’][\p{L}\p{N}\p{M}]+)*").expect("the pattern is a constant")
});

/// The words of a prompt. `placeholders` are spans and names of its textual inversions in their order; each is
/// one word, and ends those before and after it.
pub(crate) fn words(text: &str, placeholders: Vec<(Range<usize>, String)>) -> Vec<Word> {
    let mut words = Vec::new();
    let mut start = 0;
    let between = |start: usize, end: usize| {
        // Not by index: placeholders that share a character after lowercasing (İ) overlap, and the name of one
        // can begin with the possessive of another.
        let spans = word_spans(text.get(start..end).unwrap_or_default()).into_iter();
        spans.map(move |span| new_word(text, start + span.start..start + span.end))
    };
    for (span, name) in placeholders {
        words.extend(between(start, span.start));
        start = span.end + possessive(text.get(span.end..).unwrap_or_default()).len();
        words.push(new_placeholder(text, span, &name));
    }
    words.extend(between(start, text.len()));
    words
}

fn new_word(text: &str, span: Range<usize>) -> Word {
    let text = text.get(span.clone()).unwrap_or_default();
    Word { text: text.to_owned(), span, positions: Vec::new(), is_cut: false, key: key(text), placeholder: None }
}

fn new_placeholder(text: &str, span: Range<usize>, name: &str) -> Word {
    let placeholder = key(name);
    let bare = placeholder.strip_prefix('<').and_then(|name| name.strip_suffix('>'));
    let bare = bare.filter(|name| !name.is_empty()).unwrap_or(&placeholder).to_owned();
    Word { key: bare, placeholder: Some(placeholder), ..new_word(text, span) }
}

/// The `'s` at the start of the text that follows a word, or nothing.
fn possessive(text: &str) -> &str {
    let is_end = |rest: &str| !rest.starts_with(char::is_alphanumeric);
    let found = POSSESSIVES.iter().find(|possessive| text.strip_prefix(**possessive).is_some_and(is_end));
    found.copied().unwrap_or_default()
}

const POSSESSIVES: [&str; 4] = ["'s", "'S", "’s", "’S"];

/// The byte spans of the words of a text.
///
/// A possessive `'s` belongs to no word: CLIP makes it a token of its own, and its attention is not the
/// owner's.
pub(crate) fn word_spans(text: &str) -> Vec<Range<usize>> {
    let spans = WORD.find_iter(text).map(|(start, end)| {
        let mut word = &text[start..end];
        while let Some(owner) = POSSESSIVES.iter().find_map(|possessive| word.strip_suffix(possessive)) {
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

    #[test]
    fn a_placeholder_is_a_word_and_ends_its_neighbours() {
        let texts = |text: &str, names: &[&str]| -> Vec<String> {
            let found = names.iter().flat_map(|name| text.match_indices(name));
            let placeholders = found.map(|(start, name)| (start..start + name.len(), name.to_owned())).collect();
            super::words(text, placeholders).into_iter().map(|word| word.text).collect()
        };
        assert_eq!(texts("a<toy>b", &["<toy>"]), ["a", "<toy>", "b"]);
        assert_eq!(texts("my-styles-cat", &["my-style"]), ["my-style", "s-cat"]);
        assert_eq!(texts("<a><b> c", &["<a>", "<b>"]), ["<a>", "<b>", "c"]);
        assert_eq!(texts("<toy>'s bowl, <toy>'sun", &["<toy>"]), ["<toy>", "bowl", "<toy>", "sun"]);
    }
}
