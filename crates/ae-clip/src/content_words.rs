use crate::prompt::TokenizedPrompt;
use crate::subject::Subject;
use crate::words::Word;

/// Chooses subjects when the user named none: every word of the prompt that can be a thing.
///
/// These are all words but articles and other determiners, pronouns, conjunctions, prepositions, forms of
/// *be* and *have*, numbers and colours, by a list of English words. No grammar is involved: verbs and other
/// adjectives stay, and `orange` is always a colour. The placeholder of a textual inversion is a content word
/// whatever its name. Words that did not fit are left out. Without a content word the list is empty.
pub fn content_words(prompt: &TokenizedPrompt) -> Vec<Subject> {
    prompt.words().iter().filter(|word| !word.is_cut && is_content(word)).map(Subject::of).collect()
}

fn is_content(word: &Word) -> bool {
    let is_listed = LISTS.iter().any(|list| list.contains(&word.key.as_str()));
    word.placeholder.is_some() || !is_listed && word.key.contains(char::is_alphabetic)
}

const LISTS: [&[&str]; 7] = [DETERMINERS, PRONOUNS, CONJUNCTIONS, PREPOSITIONS, AUXILIARIES, NUMBERS, COLOURS];

const DETERMINERS: &[&str] = &[
    "a", "all", "an", "another", "any", "both", "each", "either", "every", "few", "her", "his", "its", "many", "more",
    "most", "my", "neither", "no", "other", "our", "several", "some", "such", "that", "the", "their", "these", "this",
    "those", "your",
];

const PRONOUNS: &[&str] = &[
    "he",
    "him",
    "i",
    "it",
    "itself",
    "me",
    "one",
    "she",
    "them",
    "themselves",
    "there",
    "they",
    "us",
    "we",
    "which",
    "who",
    "whose",
    "you",
];

const CONJUNCTIONS: &[&str] =
    &["although", "and", "as", "because", "but", "if", "nor", "or", "so", "than", "though", "when", "while", "yet"];

const PREPOSITIONS: &[&str] = &[
    "about",
    "above",
    "across",
    "after",
    "against",
    "along",
    "among",
    "around",
    "at",
    "before",
    "behind",
    "below",
    "beneath",
    "beside",
    "between",
    "beyond",
    "by",
    "down",
    "during",
    "for",
    "from",
    "in",
    "inside",
    "into",
    "like",
    "near",
    "next",
    "of",
    "off",
    "on",
    "onto",
    "out",
    "outside",
    "over",
    "past",
    "through",
    "to",
    "toward",
    "towards",
    "under",
    "underneath",
    "up",
    "upon",
    "via",
    "with",
    "within",
    "without",
];

const AUXILIARIES: &[&str] =
    &["am", "are", "be", "been", "being", "had", "has", "have", "having", "is", "not", "was", "were"];

const NUMBERS: &[&str] = &["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];

/// The eleven of the paper's benchmark, and others that are seldom things themselves.
const COLOURS: &[&str] = &[
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
    "gray",
    "black",
    "white", // the paper's
    "amber",
    "aqua",
    "azure",
    "beige",
    "bronze",
    "burgundy",
    "colored",
    "colorful",
    "coloured",
    "colourful",
    "crimson",
    "cyan",
    "dark",
    "fuchsia",
    "gold",
    "golden",
    "grey",
    "indigo",
    "khaki",
    "light",
    "magenta",
    "maroon",
    "mauve",
    "multicolored",
    "multicoloured",
    "navy",
    "ochre",
    "scarlet",
    "silver",
    "tan",
    "teal",
    "turquoise",
    "violet",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tokenizer;

    fn texts(prompt: &str) -> Vec<String> {
        let prompt = tokenizer().tokenize(prompt).unwrap();
        content_words(&prompt).into_iter().map(|subject| subject.text).collect()
    }

    #[test]
    fn the_things_of_the_benchmark_remain() {
        // The templates of the paper's benchmark (section 5), with each of its colours.
        assert_eq!(texts("a elephant and a mouse"), ["elephant", "mouse"]);
        assert_eq!(texts("a frog with a glasses"), ["frog", "glasses"]);
        let colours = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "gray", "black", "white"];
        for colour in colours {
            assert_eq!(texts(&format!("a {colour} bow and a {colour} clock")), ["bow", "clock"]);
        }
    }

    #[test]
    fn case_numbers_and_punctuation_do_not_count() {
        assert_eq!(texts("Two CATS, 3 dogs & a Red t-shirt -- 2024!"), ["CATS", "dogs", "t-shirt"]);
    }

    #[test]
    fn each_occurrence_of_a_word_is_a_subject() {
        let prompt = tokenizer().tokenize("a cat and a cat").unwrap();
        let positions: Vec<_> = content_words(&prompt).into_iter().map(|subject| subject.positions).collect();
        assert_eq!(positions, [[2], [5]]);
    }

    #[test]
    fn nothing_may_remain() {
        for prompt in ["", "a red and a blue", "12 34 !?"] {
            assert_eq!(texts(prompt), [""; 0]);
        }
    }

    #[test]
    fn words_that_were_cut_are_no_subjects() {
        let prompt = format!("{}cat dog", "a ".repeat(74));
        assert_eq!(texts(&prompt), ["cat"]);
    }

    #[test]
    fn a_placeholder_is_a_content_word_whatever_its_name() {
        let mut tokenizer = tokenizer();
        tokenizer.add_embedding_tokens("<red>", 2).unwrap();
        tokenizer.add_embedding_tokens("🐱🐱", 1).unwrap();
        let prompt = tokenizer.tokenize("a red <red> and a 🐱🐱").unwrap();
        let subjects = content_words(&prompt);
        let subjects: Vec<_> = subjects.iter().map(|subject| (&*subject.text, &*subject.positions)).collect();
        assert_eq!(subjects, [("<red>", [3, 4].as_slice()), ("🐱🐱", &[7])]);
    }
}
