use std::ops::Range;

/// What stands between two white spaces, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// The bytes of the text it covers.
    pub(crate) span: Range<usize>,
    /// In small letters: prompts are read so by the text model, and the tagger is surer of them.
    pub(crate) text: String,
}

impl Token {
    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(char::is_alphanumeric)
    }
}

/// Words (letters and digits, joined by single hyphens and apostrophes), the possessive `'s`, and marks of punctuation one
/// by one.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((start, first)) = rest.next() {
        if first.is_whitespace() {
            continue;
        }
        let mut end = start + first.len_utf8();
        if first.is_alphanumeric() {
            while let Some(&(at, next)) = rest.peek() {
                let after = text[at + next.len_utf8()..].chars().next();
                let joins = is_joint(next) && after.is_some_and(char::is_alphanumeric);
                if !(next.is_alphanumeric() || is_mark(next) || joins) {
                    break;
                }
                end = at + next.len_utf8();
                rest.next();
            }
        }
        push(&mut tokens, text, start..end);
    }
    tokens
}

/// A word and the possessive that ends it are two tokens.
fn push(tokens: &mut Vec<Token>, text: &str, span: Range<usize>) {
    let word = &text[span.clone()];
    let owner = ["'s", "'S", "’s", "’S"].iter().find_map(|possessive| word.strip_suffix(possessive));
    let end = span.start + owner.filter(|owner| !owner.is_empty()).unwrap_or(word).len();
    tokens.push(Token { text: text[span.start..end].to_lowercase(), span: span.start..end });
    if end < span.end {
        tokens.push(Token { text: "'s".to_owned(), span: end..span.end });
    }
}

fn is_joint(character: char) -> bool {
    matches!(character, '-' | '\'' | '’')
}

/// Combining marks, which belong to the letter before them.
fn is_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        tokens(text).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn words_and_punctuation() {
        assert_eq!(
            texts("A t-shirt, (red:1.3) -- rock'n'roll!"),
            ["a", "t-shirt", ",", "(", "red", ":", "1", ".", "3", ")", "-", "-", "rock'n'roll", "!"]
        );
        assert_eq!(texts(" \n\u{a0}"), [""; 0]);
    }

    #[test]
    fn a_possessive_is_a_token_of_its_own() {
        assert_eq!(
            texts("the cat's bowl, the DOG’S 's"),
            ["the", "cat", "'s", "bowl", ",", "the", "dog", "'s", "'", "s"]
        );
    }

    #[test]
    fn spans_are_those_of_the_text() {
        let text = "É ÉÉ İs 🐱x cafe\u{301}";
        let spans: Vec<_> = tokens(text).into_iter().map(|token| text[token.span].to_owned()).collect();
        assert_eq!(spans, ["É", "ÉÉ", "İs", "🐱", "x", "cafe\u{301}"]);
    }
}
