use std::ops::Range;

use crate::chunk::{Chunk, chunks};
use crate::colours::is_colour;
use crate::modifiers::modifiers;
use crate::role::is_shown;
use crate::tagger::{Tag, tags};
use crate::words::{Token, tokens};

/// How much of a text is read; a prompt has at most some hundred bytes.
pub const MAX_BYTES: usize = 1 << 16;

/// A noun with all that comes before it: `a`, `two red`, `a sleeping`.
///
/// All spans are bytes of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NounPhrase {
    /// The phrase, from its determiner to its head: `a red fire truck`.
    pub span: Range<usize>,
    /// Its head, with the nouns that make a compound of it: `fire truck`. It ends where the phrase ends.
    pub head: Range<usize>,
    /// The colours before the head, each on its own.
    pub colours: Vec<Range<usize>>,
    /// The words that describe the head, each on its own: those before it, and what is said right behind ("a bear that is brown").
    pub modifiers: Vec<Range<usize>>,
    /// Whether the picture is to show it. It is not to show what says how the picture is made (`a photo of`, `oil painting`,
    /// `sharp focus`, `in the style of Monet`), how many there are (`a group of`), where (`on top of`) or when (`at night`).
    pub is_shown: bool,
}

/// The noun phrases of an English text, in their order; they do not overlap.
///
/// Case does not matter. Phrases have no prepositions: `a cup of coffee` are two. What lies beyond [`MAX_BYTES`] is not
/// read. Another language, or none, gives phrases of little sense, or none.
pub fn noun_phrases(text: &str) -> Vec<NounPhrase> {
    let tokens = tokens(&text[..text.floor_char_boundary(MAX_BYTES)]);
    let tags = tags(&tokens);
    let chunks = chunks(&tokens, &tags);
    (0..chunks.len()).map(|index| phrase(&tokens, &tags, &chunks, index)).collect()
}

fn phrase(tokens: &[Token], tags: &[Tag], chunks: &[Chunk], index: usize) -> NounPhrase {
    let Chunk { start, head, end, .. } = chunks[index];
    let last = tokens[end - 1].span.end;
    let colours = tokens[start..head].iter().filter(|token| is_colour(&token.text));
    NounPhrase {
        span: tokens[start].span.start..last,
        head: tokens[head].span.start..last,
        colours: colours.map(|token| token.span.clone()).collect(),
        modifiers: modifiers(tokens, tags, &chunks[index]),
        is_shown: is_shown(tokens, chunks, index),
    }
}
