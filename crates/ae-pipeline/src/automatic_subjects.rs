use std::ops::Range;

use ae_clip::{Subject, TokenizedPrompt, Word};
use ae_phrases::{NounPhrase, noun_phrases};
use ae_settings::Vocabulary;
use ae_settings::a1111::constructs;

/// The subjects of a prompt for which none are named: the heads of its noun phrases, where they are things to show
/// ([`ae_phrases::NounPhrase::is_shown`]), and the placeholders of textual inversions, whatever they are called.
///
/// A head of several words is its last word, as in [`ae_clip::find_subjects`]. Words that did not fit are left out.
pub(crate) fn automatic_subjects(prompt: &TokenizedPrompt) -> Vec<Subject> {
    let signs = signs(prompt);
    let phrases = phrases_between(prompt, &signs);
    // Two views of one text: a phrase ends inside the word it ends with.
    let heads: Vec<_> = phrases.iter().filter(|phrase| phrase.is_shown).map(|phrase| phrase.head.end - 1).collect();
    let is_sign = |word: &Word| signs.iter().any(|sign| sign.start < word.span.end && word.span.start < sign.end);
    let words = prompt.words().iter().filter(|word| !word.is_cut && !is_sign(word));
    let subjects = words.filter(|word| word.is_placeholder() || heads.iter().any(|head| word.span.contains(head)));
    subjects.map(|word| Subject { text: word.text.clone(), positions: word.positions.clone() }).collect()
}

/// The noun phrases of a prompt.
pub(crate) fn phrases_of(prompt: &TokenizedPrompt) -> Vec<NounPhrase> {
    phrases_between(prompt, &signs(prompt))
}

fn phrases_between(prompt: &TokenizedPrompt, signs: &[Range<usize>]) -> Vec<NounPhrase> {
    let mut text = prompt.text().to_owned();
    for sign in signs {
        let blank = format!("{:<width$}", ",", width = sign.len());
        text.replace_range(sign.clone(), &blank);
    }
    noun_phrases(&text)
}

/// What another program would take for a sign. It is no thing, even where it is text, and a phrase ends there.
fn signs(prompt: &TokenizedPrompt) -> Vec<Range<usize>> {
    let found = constructs(prompt.text()).into_iter().filter(|found| found.kind.hides_words());
    found.map(|sign| sign.span).collect()
}

/// The nouns of prompts that a model of few things has not learned, each once.
pub fn unknown_nouns<'a>(
    vocabulary: &Vocabulary,
    prompts: impl IntoIterator<Item = &'a TokenizedPrompt>,
) -> Vec<String> {
    let mut unknown: Vec<String> = Vec::new();
    for prompt in prompts {
        for Subject { text, positions } in automatic_subjects(prompt) {
            let is_placeholder = prompt.words().iter().any(|word| word.positions == positions && word.is_placeholder());
            if !is_placeholder && !vocabulary.has_thing(&text) && !unknown.contains(&text) {
                unknown.push(text);
            }
        }
    }
    unknown
}

#[cfg(test)]
mod tests {
    use ae_clip::ClipTokenizer;

    use super::*;

    fn texts(prompt: &TokenizedPrompt) -> Vec<String> {
        automatic_subjects(prompt).into_iter().map(|subject| subject.text).collect()
    }

    fn of(text: &str) -> Vec<String> {
        texts(&ClipTokenizer::stable_diffusion_1().tokenize(text).unwrap())
    }

    #[test]
    fn the_things_of_the_benchmark_are_found_where_the_paper_has_them() {
        // Section 4: positions with <sot> at 0.
        let positions = |text: &str| -> Vec<Vec<usize>> {
            let prompt = ClipTokenizer::stable_diffusion_1().tokenize(text).unwrap();
            automatic_subjects(&prompt).into_iter().map(|subject| subject.positions).collect()
        };
        assert_eq!(positions("a elephant and a mouse"), [[2], [5]]);
        assert_eq!(positions("a frog with a glasses"), [[2], [5]]);
        assert_eq!(positions("a turtle and a orange bow"), [[2], [6]]);
        assert_eq!(positions("a blue bench and a orange apple"), [[3], [7]]);
        assert_eq!(positions("a cat and a cat"), [[2], [5]]);
    }

    #[test]
    fn nouns_that_a_model_has_not_learned_are_named_once() {
        let vocabulary =
            Vocabulary::from_json(r#"{"things": {"all": ["cat", "orange"]}, "colours": ["red"]}"#).unwrap();
        let mut tokenizer = ClipTokenizer::stable_diffusion_1();
        tokenizer.add_embedding_tokens("frobnik", 1).unwrap();
        let unknown = |text: &str| unknown_nouns(&vocabulary, [&tokenizer.tokenize(text).unwrap()]);
        assert_eq!(unknown("a red Cat with a crown and a crown, and a frobnik"), ["crown"]);
        assert!(unknown("an orange").is_empty() && unknown("running quickly").is_empty());
    }

    #[test]
    fn heads_are_subjects_and_what_describes_is_none() {
        assert_eq!(of("A photo of two polar bears wearing SUNGLASSES, highly detailed"), ["bears", "SUNGLASSES"]);
        assert_eq!(of("an orange on a table, oil painting"), ["orange", "table"]);
        assert_eq!(of("a cat's bowl and a t-shirt"), ["bowl", "t-shirt"]);
    }

    #[test]
    fn nothing_may_remain() {
        for prompt in
            ["", "a", "red and blue", "12 34 !?", "and the of", "running very fast", "oil painting, sharp focus"]
        {
            assert_eq!(of(prompt), [""; 0], "{prompt}");
        }
    }

    #[test]
    fn words_that_were_cut_are_no_subjects() {
        assert_eq!(of(&format!("a cat {}and a dog", "and ".repeat(73))), ["cat"]);
    }

    #[test]
    fn a_placeholder_is_a_subject_whatever_its_name() {
        let mut tokenizer = ClipTokenizer::stable_diffusion_1();
        tokenizer.add_embedding_tokens("<red>", 2).unwrap();
        tokenizer.add_embedding_tokens("🐱🐱", 1).unwrap();
        let prompt = tokenizer.tokenize("a red <red> and a 🐱🐱, a photo of a dog").unwrap();
        assert_eq!(texts(&prompt), ["<red>", "🐱🐱", "dog"]);
        assert_eq!(automatic_subjects(&prompt)[0].positions, [3, 4]);
    }

    #[test]
    fn signs_of_another_syntax_are_no_subjects() {
        assert_eq!(of("a cat AND a dog BREAK a hat <lora:horse:0.8>"), ["cat", "dog", "hat"]);
        assert_eq!(of("a [bird:fish:0.5] and a [table|chair], a (dog:1.2)"), ["dog"]);
        assert_eq!(of("<lyco:cat> <hypernet:dog:1>"), [""; 0]);
    }

    #[test]
    fn weights_are_no_part_of_the_text() {
        let tokenizer = ClipTokenizer::stable_diffusion_1();
        let weighted =
            tokenizer.tokenize_weighted("a (red cat:1.3) and a [blue] (polar (bear)) in ((the snow:0.5))").unwrap();
        assert_eq!(texts(&weighted.prompt), ["cat", "bear", "snow"]);
        // Without weighting brackets are text, as in diffusers.
        assert_eq!(of("a (red cat) and a [dog]"), ["cat", "dog"]);
    }
}
