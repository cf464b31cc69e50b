use crate::colours::is_colour;
use crate::tagger::Tag;
use crate::words::Token;

/// A noun phrase as indices into the tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The first token.
    pub(crate) start: usize,
    /// The first token of the head.
    pub(crate) head: usize,
    /// One past the last token, which is the head's too.
    pub(crate) end: usize,
    /// Whether it begins with a determiner or a number.
    pub(crate) is_determined: bool,
}

/// The noun phrases of a tagged text, in their order.
pub(crate) fn chunks(tokens: &[Token], tags: &[Tag]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut start = 0;
    while start < tokens.len() {
        match (Reader { tokens, tags, start }).chunk() {
            Ok(chunk) => {
                start = chunk.end;
                chunks.push(chunk);
            }
            Err(next) => start = next,
        }
    }
    chunks
}

/// Reads the phrase that begins at a token: determiners and numbers, then what describes, then nouns.
struct Reader<'a> {
    tokens: &'a [Token],
    tags: &'a [Tag],
    start: usize,
}

impl Reader<'_> {
    fn tag(&self, index: usize) -> Tag {
        self.tags.get(index).copied().unwrap_or(Tag::Other)
    }

    /// The first index from `start` on whose token is none of those.
    fn skip(&self, start: usize, is_part: impl Fn(usize) -> bool) -> usize {
        (start..self.tags.len()).find(|index| !is_part(*index)).unwrap_or(self.tags.len())
    }

    /// The phrase, or where one can begin at the earliest if none begins here.
    fn chunk(&self) -> Result<Chunk, usize> {
        let first = self.skip(self.start, |at| matches!(self.tag(at), Tag::Determiner | Tag::Number));
        let is_determined = first > self.start;
        let described = self.skip(first, |at| self.describes(at, first, is_determined));
        let end = self.nouns(described);
        if end == described {
            // Neither does one begin at a word that was read in vain: so the time is that of one reading.
            let next = described.max(self.start + 1);
            return if is_determined { self.without_noun(first, described).ok_or(next) } else { Err(next) };
        }
        let is_compound = |at: usize| self.tag(at) == Tag::Noun && !is_colour(&self.tokens[at].text);
        let modifiers = (first..end - 1).rev().find(|at| !is_compound(*at));
        let chunk = Chunk { start: self.start, head: modifiers.map_or(first, |at| at + 1), end, is_determined };
        // "a cat in red" shows no red.
        let is_bare_colour = !is_determined && end == first + 1 && is_colour(&self.tokens[first].text);
        if is_bare_colour { Err(end) } else { Ok(chunk) }
    }

    /// Whether a token before the first noun describes it. `first` is the first that is no determiner.
    fn describes(&self, at: usize, first: usize, is_determined: bool) -> bool {
        let is_inside = is_determined || at > first;
        match self.tag(at) {
            Tag::Adjective => true,
            // "broken clock" and "with glowing eyes", but "wearing sunglasses".
            Tag::Participle => is_inside || self.tag(at + 1) == Tag::Noun && !self.is_doing(at),
            Tag::Adverb | Tag::Number => is_inside && self.comes_to_description(at),
            // "a black and white cat", "a big, red car".
            Tag::Other => {
                let joins = matches!(self.tokens[at].text.as_str(), "and" | ",");
                joins
                    && at > first
                    && [at - 1, at + 1].iter().all(|side| self.tag(*side) == Tag::Adjective)
                    && self.comes_to_description(at)
            }
            _ => false,
        }
    }

    /// Whether a participle that begins a phrase is what something does, rather than what it is like.
    fn is_doing(&self, at: usize) -> bool {
        let before = at.checked_sub(1).map(|before| self.tokens[before].text.as_str());
        self.tokens[at].text.ends_with("ing") && !matches!(before, Some("by" | "in" | "of" | "on" | "under" | "with"))
    }

    /// Whether adjectives, or a noun, follow.
    fn comes_to_description(&self, at: usize) -> bool {
        let next = self.skip(at + 1, |at| self.tag(at) == Tag::Adverb);
        matches!(self.tag(next), Tag::Adjective | Tag::Participle | Tag::Noun)
    }

    /// The end of the nouns. "a cat's bowl": what owns is part of the phrase of what it owns.
    fn nouns(&self, described: usize) -> usize {
        let mut end = described;
        loop {
            let nouns = self.skip(end, |at| self.tag(at) == Tag::Noun);
            if nouns == end {
                return end;
            }
            end = nouns;
            let owned = self.skip(end + 1, |at| matches!(self.tag(at), Tag::Adjective | Tag::Participle));
            if self.tag(end) != Tag::Possessive || self.tag(owned) != Tag::Noun {
                return end;
            }
            end = owned;
        }
    }

    /// A phrase in which the tagger saw no noun. A determiner has one: it is the last word before the phrase must end,
    /// whatever the tagger took it for, as in "an orange on a table".
    fn without_noun(&self, first: usize, described: usize) -> Option<Chunk> {
        let is_action = |at: usize| self.tag(at) == Tag::Participle && self.tokens[at].text.ends_with("ing");
        // "an alien driving a car": "alien" and "an" are not both without a noun.
        let actions = (first + 1..described).rev().take_while(|at| is_action(*at)).count();
        let end = match actions {
            0 if self.tag(described) == Tag::Verb => described + 1,
            _ => described - actions,
        };
        (end > first).then(|| Chunk { start: self.start, head: end - 1, end, is_determined: true })
    }
}
