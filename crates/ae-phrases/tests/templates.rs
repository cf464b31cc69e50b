//! The prompts of the paper's benchmark (section 4), in every way they can be written.

use ae_phrases::{NounPhrase, noun_phrases};

const ANIMALS: [&str; 12] =
    ["cat", "dog", "bird", "bear", "lion", "horse", "elephant", "monkey", "frog", "turtle", "rabbit", "mouse"];
const OBJECTS: [&str; 12] =
    ["backpack", "crown", "suitcase", "chair", "balloon", "bow", "car", "bowl", "bench", "clock", "apple", "glasses"];
const COLOURS: [&str; 11] =
    ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "gray", "black", "white"];

/// One half of a prompt: a noun, perhaps in a colour.
#[derive(Clone, Copy)]
struct Half {
    noun: &'static str,
    colour: Option<&'static str>,
}

impl Half {
    fn text(&self, determiner: &str, noun: &str) -> String {
        let colour = self.colour.map(|colour| format!("{colour} ")).unwrap_or_default();
        format!("{determiner} {colour}{noun}")
    }
}

fn check(halves: [Half; 2], texts: &[String; 2], joint: &str, nouns: [&str; 2]) {
    let mut prompt = texts.join(joint);
    for _ in 0..2 {
        let phrases = noun_phrases(&prompt);
        let of = |get: fn(&NounPhrase) -> &std::ops::Range<usize>| -> Vec<String> {
            phrases.iter().map(|phrase| prompt[get(phrase).clone()].to_lowercase()).collect()
        };
        assert_eq!(of(|phrase| &phrase.span), *texts, "{prompt}");
        assert_eq!(of(|phrase| &phrase.head), nouns, "{prompt}");
        for (phrase, half) in phrases.iter().zip(halves) {
            let colours: Vec<_> = phrase.colours.iter().map(|span| prompt[span.clone()].to_lowercase()).collect();
            assert_eq!(colours, half.colour.as_slice(), "{prompt}");
            assert!(phrase.is_shown, "{prompt}");
        }
        prompt = prompt.to_uppercase();
    }
}

/// Checks two halves with every determiner, in both orders, in small letters and capitals, and in the plural.
fn check_all(one: Half, other: Half) {
    for halves in [[one, other], [other, one]] {
        for joint in [" and ", " with "] {
            for determiner in ["a", "an", "the"] {
                let texts = halves.map(|half| half.text(determiner, half.noun));
                check(halves, &texts, joint, halves.map(|half| half.noun));
            }
            let plurals = halves.map(|half| plural(half.noun));
            for determiner in ["the", "two", "some"] {
                let texts = [0, 1].map(|index| halves[index].text(determiner, &plurals[index]));
                check(halves, &texts, joint, plurals.each_ref().map(String::as_str));
            }
        }
    }
}

fn plural(noun: &str) -> String {
    match noun {
        "mouse" => "mice".to_owned(),
        "bench" => "benches".to_owned(),
        "glasses" => noun.to_owned(),
        _ => format!("{noun}s"),
    }
}

fn plain(noun: &'static str) -> Half {
    Half { noun, colour: None }
}

fn coloured(noun: &'static str, colour: &'static str) -> Half {
    Half { noun, colour: Some(colour) }
}

#[test]
fn two_animals() {
    for (index, one) in ANIMALS.into_iter().enumerate() {
        for other in &ANIMALS[index + 1..] {
            check_all(plain(one), plain(other));
        }
    }
}

#[test]
fn an_animal_and_an_object() {
    for animal in ANIMALS {
        for object in OBJECTS {
            check_all(plain(animal), plain(object));
            for colour in COLOURS {
                check_all(plain(animal), coloured(object, colour));
            }
        }
    }
}

#[test]
fn two_objects_in_colours() {
    for (index, one) in OBJECTS.into_iter().enumerate() {
        for other in &OBJECTS[index + 1..] {
            for first in COLOURS {
                for second in COLOURS {
                    let halves = [coloured(one, first), coloured(other, second)];
                    check(halves, &halves.map(|half| half.text("a", half.noun)), " and ", [one, other]);
                }
            }
        }
    }
}

#[test]
fn animals_have_colours_too() {
    for animal in ANIMALS {
        for colour in COLOURS {
            check_all(coloured(animal, colour), plain("chair"));
        }
    }
}
