use std::ops::Range;

use crate::chunk::Chunk;
use crate::tagger::Tag;
use crate::words::Token;

/// The words that describe a phrase's head: adjectives, participles and nouns before it, and what is said of it right behind.
///
/// What owns ("a cat's bowl"), how many ("two bears") and how much ("very old") describe nothing.
pub(crate) fn modifiers(tokens: &[Token], tags: &[Tag], chunk: &Chunk) -> Vec<Range<usize>> {
    let owns = |at: usize| tags.get(at + 1) == Some(&Tag::Possessive);
    let describes = |at: &usize| matches!(tags[*at], Tag::Adjective | Tag::Participle | Tag::Noun) && !owns(*at);
    let before = (chunk.start..chunk.head).filter(describes);
    before.chain(said_of(tokens, tags, chunk.end)).map(|at| tokens[at].span.clone()).collect()
}

/// The words of "a bear that is brown" and "the bear is brown and very old", where the phrase ends at a token.
fn said_of(tokens: &[Token], tags: &[Tag], end: usize) -> Vec<usize> {
    let is = |at: usize, words: &[&str]| tokens.get(at).is_some_and(|token| words.contains(&token.text.as_str()));
    let is_mark = |at: usize| tokens.get(at).is_some_and(|token| !token.is_word() && token.text != "'s");
    let mut at = end + usize::from(is_mark(end) && is(end + 1, &["which", "that", "who"]));
    at += usize::from(is(at, &["that", "which", "who"]));
    if !is(at, &["is", "are", "was", "were"]) {
        return Vec::new();
    }
    at += 1;
    let mut said = Vec::new();
    loop {
        while tags.get(at) == Some(&Tag::Adverb) {
            at += 1;
        }
        // "is sleeping" is what it does; "is a brown one" begins a phrase.
        let describes = match tags.get(at) {
            Some(Tag::Adjective) => true,
            Some(Tag::Participle) => !tokens[at].text.ends_with("ing"),
            _ => false,
        };
        // "the bear is brown clay": the word belongs to the next phrase.
        if !describes || tags.get(at + 1) == Some(&Tag::Noun) {
            return said;
        }
        said.push(at);
        at += 1;
        if !is(at, &["and", ",", "or"]) {
            return said;
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use crate::noun_phrases;

    fn described(text: &str) -> Vec<String> {
        let of = |phrase: crate::NounPhrase| {
            let words: Vec<_> = phrase.modifiers.iter().map(|span| &text[span.clone()]).collect();
            format!("{}: {}", &text[phrase.head.clone()], words.join(" "))
        };
        noun_phrases(text).into_iter().filter(|phrase| phrase.is_shown).map(of).collect()
    }

    #[test]
    fn words_before_the_head_describe_it() {
        assert_eq!(described("a red car and a blue, old clock"), ["car: red", "clock: blue old"]);
        assert_eq!(described("two very old polar bears"), ["bears: old polar"]);
        assert_eq!(described("a black and white cat with a broken crown"), ["cat: black white", "crown: broken"]);
        assert_eq!(described("a cat and a dog"), ["cat: ", "dog: "]);
        assert_eq!(described("a cat's red bowl"), ["bowl: red"]);
    }

    #[test]
    fn what_is_said_behind_the_head_describes_it_too() {
        assert_eq!(described("a bear that is brown and a red car"), ["bear: brown", "car: red"]);
        assert_eq!(described("the old clock is blue and very large"), ["clock: old blue large"]);
        assert_eq!(described("a car, which is red, and a dog"), ["car: red", "dog: "]);
        assert_eq!(described("a cat that is sleeping on a chair that is painted"), ["cat: ", "chair: painted"]);
        assert_eq!(described("a cat that is"), ["cat: "]);
    }
}
