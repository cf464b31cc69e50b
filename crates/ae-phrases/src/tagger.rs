use std::sync::LazyLock;

use english_pos_tagger::Tagger;

use crate::colours::is_colour;
use crate::words::Token;

/// What kind of word it is, as far as noun phrases ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// An article, a possessive pronoun, `this`, `some`.
    Determiner,
    /// In digits or letters.
    Number,
    Adjective,
    Adverb,
    /// `sleeping`, `painted`: before a noun it describes it, after one it begins what the thing does.
    Participle,
    Noun,
    /// A verb in another form.
    Verb,
    /// The possessive `'s`.
    Possessive,
    /// All that ends a phrase: prepositions, conjunctions, pronouns, punctuation.
    Other,
}

static TAGGER: LazyLock<Tagger> = LazyLock::new(Tagger::new);

/// A tag for every token.
pub(crate) fn tags(tokens: &[Token]) -> Vec<Tag> {
    let texts: Vec<_> = tokens.iter().map(|token| token.text.as_str()).collect();
    let tagged = TAGGER.tag_raw_tokens(&texts);
    let tags = tagged.iter().zip(tokens).map(|(tagged, token)| tag(token, tagged.pos.as_deref().unwrap_or_default()));
    let mut tags: Vec<_> = tags.collect();
    correct(tokens, &mut tags);
    tags
}

/// The tag of a tag of the Penn Treebank, unless the word says more.
fn tag(token: &Token, penn: &str) -> Tag {
    match token.text.as_str() {
        "a" | "an" | "the" => return Tag::Determiner,
        "and" | "of" | "or" | "with" => return Tag::Other,
        "'s" => return Tag::Possessive,
        // "8k", "3d": what a tagger for prose does not know.
        text if text.starts_with(char::is_numeric) => return Tag::Number,
        text if text.ends_with("n't") || !token.is_word() => return Tag::Other,
        _ => {}
    }
    match penn {
        "DT" | "PDT" | "PRP$" | "WP$" => Tag::Determiner,
        "CD" => Tag::Number,
        "JJ" | "JJR" | "JJS" => Tag::Adjective,
        "RB" | "RBR" | "RBS" => Tag::Adverb,
        "VBD" | "VBG" | "VBN" => Tag::Participle,
        "NN" | "NNS" | "NNP" | "NNPS" => Tag::Noun,
        "VB" | "VBP" | "VBZ" => Tag::Verb,
        _ => Tag::Other,
    }
}

/// Rules for what the tagger, made for prose, takes amiss in captions.
fn correct(tokens: &[Token], tags: &mut [Tag]) {
    for index in 0..tags.len() {
        let text = tokens[index].text.as_str();
        let before = index.checked_sub(1).map_or(Tag::Other, |before| tags[before]);
        let after = tags.get(index + 1).copied().unwrap_or(Tag::Other);
        // "an orange cat", but "an orange on a table".
        let describes = matches!(after, Tag::Noun | Tag::Adjective | Tag::Verb | Tag::Participle);
        if is_colour(text) && (describes || tags[index] != Tag::Noun) {
            tags[index] = Tag::Adjective;
            if index > 0 && SHADES.contains(&tokens[index - 1].text.as_str()) {
                tags[index - 1] = Tag::Adjective;
            }
        }
        // "a duck swimming in a pond", "an elephant painting a picture": prose would have "is" before it.
        let next = tokens.get(index + 1).filter(|next| next.is_word() && !matches!(&*next.text, "of" | "and" | "or"));
        let is_doing = text.ends_with("ing") && (after == Tag::Determiner || is_action(text) && next.is_some());
        if tags[index] == Tag::Noun && is_doing && matches!(before, Tag::Noun | Tag::Adjective) {
            tags[index] = Tag::Participle;
        }
        // "a pearl earring".
        if tags[index] == Tag::Participle && text.ends_with("ing") && !is_action(text) && !is_doing {
            tags[index] = Tag::Noun;
        }
    }
}

const SHADES: [&str; 5] = ["bright", "dark", "deep", "light", "pale"];

/// Whether the ending is that of a verb: `swimming`, not `ring`, whose rest `r` is no verb.
fn is_action(word: &str) -> bool {
    let is_vowel = |letter: char| matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u' | 'y');
    word.strip_suffix("ing").is_some_and(|verb| verb.contains(is_vowel)) && !NOUNS_IN_ING.contains(&word)
}

/// Nouns that seldom are what a thing does.
const NOUNS_IN_ING: [&str; 11] = [
    "awning", "building", "ceiling", "clothing", "drawing", "earring", "evening", "lighting", "morning", "painting",
    "wedding",
];
