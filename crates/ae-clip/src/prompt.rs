use std::ops::Range;

use serde::Serialize;
use tokenizers::Decoder;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use crate::words::{Word, words};

/// Ends the last token of each word, as in `cat</w>`.
pub(crate) const END_OF_WORD: &str = "</w>";

/// A prompt as the text model reads it, with the way back to its text.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenizedPrompt {
    text: String,
    tokens: Vec<Token>,
    words: Vec<Word>,
    /// The position of the end token of every chunk.
    ends: Vec<usize>,
    end: usize,
    truncation: Option<Truncation>,
}

/// One position of a tokenized prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    /// The position, from 0.
    pub index: usize,
    /// The index into the vocabulary.
    pub id: u32,
    /// The token as the vocabulary writes it, such as `cat</w>`.
    pub piece: String,
    /// The text it stands for, such as `cat`. Of a character split over several tokens each shows `�`.
    pub text: String,
    /// What the token is there for.
    pub kind: TokenKind,
    /// The bytes of the prompt it covers; none for tokens that the tokenizer added.
    pub span: Option<Range<usize>>,
    /// Its word, as an index into [`TokenizedPrompt::words`]; none for punctuation.
    pub word: Option<usize>,
}

/// What a token is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// `<|startoftext|>`, at position 0.
    Start,
    /// Text of the prompt, or a vector of a textual inversion.
    Text,
    /// A special token that is written out in the prompt.
    Special,
    /// `<|endoftext|>`, after the text.
    End,
    /// After the end.
    Padding,
}

/// What did not fit into the model's length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Truncation {
    /// The end of the prompt, from the first character the model does not fully read.
    pub text: String,
    /// The number of tokens cut.
    pub tokens: usize,
}

/// A token of the prompt's text, before truncation.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) id: u32,
    pub(crate) span: Range<usize>,
    pub(crate) kind: PieceKind,
}

/// What a [`Piece`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PieceKind {
    /// A token of the byte pair encoding.
    Text,
    /// A special token that is written out in the prompt.
    Special,
    /// A vector of a textual inversion; all vectors of one placeholder have its span.
    Embedding,
}

/// The ids that frame a prompt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpecialIds {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) padding: u32,
}

impl TokenizedPrompt {
    /// Frames the pieces of every chunk, of which there is one at least, and pads it to `length` tokens; `cut` are those that do not
    /// fit. `vocabulary` writes out an id.
    pub(crate) fn new(
        text: &str,
        chunks: Vec<Vec<Piece>>,
        cut: Vec<Piece>,
        special: SpecialIds,
        length: usize,
        vocabulary: impl Fn(u32) -> String,
    ) -> Self {
        let truncation = cut.first().map(|first| Truncation {
            // Not by index: the offsets are those of the tokenizers library.
            text: text.get(first.span.start..).unwrap_or_default().to_owned(),
            tokens: cut.len(),
        });

        let mut placeholders: Vec<_> = chunks
            .iter()
            .flatten()
            .chain(&cut)
            .filter(|piece| piece.kind == PieceKind::Embedding)
            .map(|piece| (piece.span.clone(), vocabulary(piece.id)))
            .collect();
        // The first vector of each has the placeholder's own token.
        placeholders.dedup_by(|next, first| next.0 == first.0);
        let mut words = words(text, placeholders);
        let mut tokens: Vec<Token> = Vec::with_capacity(chunks.len() * length);
        let push = |tokens: &mut Vec<Token>, id, kind, span, word, is_embedding| {
            let piece = vocabulary(id);
            let text = if is_embedding { piece.clone() } else { decode(&piece) };
            tokens.push(Token { index: tokens.len(), id, piece, text, kind, span, word });
        };
        let mut current = 0;
        let mut word_of = |words: &[Word], piece: &Piece| {
            while words.get(current).is_some_and(|word| word.span.end <= piece.span.start) {
                current += 1;
            }
            let is_inside = words.get(current).is_some_and(|word| word.span.start < piece.span.end);
            (is_inside && piece.kind != PieceKind::Special).then_some(current)
        };
        let (mut ends, mut end) = (Vec::with_capacity(chunks.len()), 1);
        for chunk in chunks {
            let (first, is_empty) = (tokens.len(), chunk.is_empty());
            push(&mut tokens, special.start, TokenKind::Start, None, None, false);
            for piece in chunk {
                let word = word_of(&words, &piece);
                if let Some(word) = word {
                    words[word].positions.push(tokens.len());
                }
                let kind = if piece.kind == PieceKind::Special { TokenKind::Special } else { TokenKind::Text };
                push(&mut tokens, piece.id, kind, Some(piece.span), word, piece.kind == PieceKind::Embedding);
            }
            ends.push(tokens.len());
            if !is_empty {
                end = tokens.len();
            }
            push(&mut tokens, special.end, TokenKind::End, None, None, false);
            while tokens.len() < first + length {
                push(&mut tokens, special.padding, TokenKind::Padding, None, None, false);
            }
        }
        for piece in cut {
            if let Some(word) = word_of(&words, &piece) {
                words[word].is_cut = true;
            }
        }

        let mut prompt = Self { text: text.to_owned(), tokens, words, ends, end, truncation };
        prompt.drop_words_without_tokens();
        prompt
    }

    /// What looks like a word inside a special token (`<|endoftext|>`) is none.
    fn drop_words_without_tokens(&mut self) {
        let has_tokens = |word: &Word| word.is_cut || !word.positions.is_empty();
        let mut next = 0;
        let renumbered: Vec<_> = self
            .words
            .iter()
            .map(|word| {
                has_tokens(word).then(|| {
                    next += 1;
                    next - 1
                })
            })
            .collect();
        self.words.retain(has_tokens);
        for token in &mut self.tokens {
            token.word = token.word.and_then(|word| renumbered[word]);
        }
    }

    /// The prompt.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The ids of [`Self::tokens`], which the text model takes.
    pub fn ids(&self) -> Vec<u32> {
        self.tokens.iter().map(|token| token.id).collect()
    }

    /// Every position, padding included: 77 tokens for each chunk of CLIP.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The words of the prompt in their order, also those that did not fit.
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// The position of the `<|endoftext|>` after the text, in a prompt of several chunks that of the last one with text. The text's own
    /// tokens are in `1..end()`, in several chunks with what ends and begins them in between.
    pub fn end(&self) -> usize {
        self.end
    }

    /// The positions of every chunk with its start token and what pads it; a prompt of one chunk has all of them in it.
    pub fn chunks(&self) -> impl ExactSizeIterator<Item = Range<usize>> {
        let length = self.tokens.len() / self.ends.len();
        (0..self.ends.len()).map(move |chunk| chunk * length..(chunk + 1) * length)
    }

    /// The position of the end token of every chunk. Between the start of the chunk and this are its tokens of the text.
    pub fn chunk_ends(&self) -> &[usize] {
        &self.ends
    }

    /// What did not fit, if anything.
    pub fn truncation(&self) -> Option<&Truncation> {
        self.truncation.as_ref()
    }
}

/// The text of one token: its byte characters back to bytes.
fn decode(piece: &str) -> String {
    let characters = piece.strip_suffix(END_OF_WORD).unwrap_or(piece);
    let decoded = ByteLevel::default().decode_chain(vec![characters.to_owned()]);
    decoded.expect("the byte level decoder has no failing path").concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tokenizer;

    fn words(prompt: &TokenizedPrompt) -> Vec<(&str, &[usize])> {
        prompt.words().iter().map(|word| (word.text.as_str(), word.positions.as_slice())).collect()
    }

    #[test]
    fn every_token_knows_its_word_and_text() {
        let prompt = tokenizer().tokenize("A cat's zoo!").unwrap();
        let rows: Vec<_> = prompt.tokens()[..9]
            .iter()
            .map(|token| (token.piece.as_str(), token.text.as_str(), token.span.clone(), token.word))
            .collect();
        assert_eq!(
            rows,
            [
                ("<|startoftext|>", "<|startoftext|>", None, None),
                ("a</w>", "a", Some(0..1), Some(0)),
                ("cat</w>", "cat", Some(2..5), Some(1)),
                ("'s</w>", "'s", Some(5..7), None),
                ("z", "z", Some(8..9), Some(2)),
                ("o", "o", Some(9..10), Some(2)),
                ("o</w>", "o", Some(10..11), Some(2)),
                ("!</w>", "!", Some(11..12), None),
                ("<|endoftext|>", "<|endoftext|>", None, None),
            ]
        );
        assert_eq!(words(&prompt), [("A", [1].as_slice()), ("cat", &[2]), ("zoo", &[4, 5, 6])]);
        assert_eq!(prompt.end(), 8);
        assert!(prompt.tokens().iter().enumerate().all(|(index, token)| token.index == index));
    }

    #[test]
    fn a_word_that_clip_splits_at_hyphens_and_marks_is_one_word() {
        let prompt = tokenizer().tokenize("t-shirt cafe\u{301}").unwrap();
        let texts: Vec<_> = prompt.words().iter().map(|word| word.text.as_str()).collect();
        assert_eq!(texts, ["t-shirt", "cafe\u{301}"]);
        let positions: Vec<_> = prompt.words().iter().flat_map(|word| word.positions.clone()).collect();
        assert_eq!(positions, (1..prompt.end()).collect::<Vec<_>>());
    }

    #[test]
    fn special_tokens_in_the_prompt_are_no_words() {
        let prompt = tokenizer().tokenize("cat<|endoftext|>dog").unwrap();
        assert_eq!(words(&prompt), [("cat", [1].as_slice()), ("dog", &[3])]);
        assert_eq!(prompt.tokens()[2].kind, TokenKind::Special);
        assert_eq!(prompt.tokens()[3].word, Some(1));
        assert_eq!((prompt.tokens()[4].kind, prompt.tokens()[5].kind), (TokenKind::End, TokenKind::Padding));
    }

    #[test]
    fn what_does_not_fit_is_reported() {
        let tokenizer = tokenizer();
        let full = tokenizer.tokenize(&"cat ".repeat(75)).unwrap();
        assert_eq!((full.end(), full.truncation()), (76, None));

        let prompt = tokenizer.tokenize(&format!("{}cat and a dog", "a ".repeat(74))).unwrap();
        let expected = Truncation { text: "and a dog".to_owned(), tokens: 3 };
        assert_eq!((prompt.end(), prompt.truncation()), (76, Some(&expected)));
        assert_eq!(prompt.tokens()[75].text, "cat");
        assert_eq!(prompt.tokens()[76].kind, TokenKind::End);

        // "zoo" has three tokens, of which one fits.
        let prompt = tokenizer.tokenize(&format!("{}zoo", "a ".repeat(74))).unwrap();
        let word = prompt.words().last().unwrap();
        assert_eq!((word.text.as_str(), word.is_cut, word.positions.as_slice()), ("zoo", true, [75].as_slice()));
        assert_eq!(prompt.truncation().unwrap().text, "oo");
    }

    #[test]
    fn a_cut_inside_a_character_keeps_the_character_in_the_report() {
        // A cat face has four tokens, one per byte; two of them fit.
        let prompt = tokenizer().tokenize(&format!("{}🐱!", "a ".repeat(73))).unwrap();
        assert_eq!(prompt.truncation(), Some(&Truncation { text: "🐱!".to_owned(), tokens: 3 }));
    }
}
