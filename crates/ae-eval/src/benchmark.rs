use rand_mt::Mt;

use crate::{Prompt, Thing};

/// The animals of the paper's benchmark.
pub const ANIMALS: [&str; 12] =
    ["cat", "dog", "bird", "bear", "lion", "horse", "elephant", "monkey", "frog", "turtle", "rabbit", "mouse"];

/// The objects of the paper's benchmark.
pub const OBJECTS: [&str; 12] =
    ["backpack", "crown", "suitcase", "chair", "balloon", "bow", "car", "bowl", "bench", "clock", "apple", "glasses"];

/// The colours of the paper's benchmark.
pub const COLOURS: [&str; 11] =
    ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "gray", "black", "white"];

/// What an animal has "with" it rather than beside it, and without a colour.
const WORN: [&str; 3] = ["glasses", "bow", "crown"];

/// The seed of every draw: another one would be another benchmark.
const SEED: u32 = 2023;

/// A set of prompts of the benchmark (Chefer et al. 2023, section 5).
///
/// Words and templates are the paper's, and so are the articles ("a elephant"). The paper drew the colours and the order inside
/// a pair at random and published neither with the text; here the order is that of the words, and the colours are a draw of
/// this project, fixed, with two different ones where there are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptSet {
    /// "a cat and a dog": the 66 pairs of animals.
    Animals,
    /// "a cat and a red car", "a cat with a crown": the 144 of an animal and an object.
    AnimalsObjects,
    /// "a red car and a blue bowl": the 66 pairs of objects.
    Objects,
    /// "a cat and a dog and a car": 24 prompts each with two, three and four things without colours. Not of the paper.
    Numbers,
}

impl PromptSet {
    /// The name of a set for people; the name itself of one that is not of the benchmark.
    pub fn title_of(set: &str) -> &str {
        match set {
            "animals" => "Animals",
            "animals_objects" => "Animals and objects",
            "objects" => "Objects",
            "two" => "Two things",
            "three" => "Three things",
            "four" => "Four things",
            other => other,
        }
    }

    /// The three sets of the paper, 276 prompts together.
    pub const PAPER: [Self; 3] = [Self::Animals, Self::AnimalsObjects, Self::Objects];

    /// The prompts.
    pub fn prompts(self) -> Vec<Prompt> {
        let mut draw = Draw(Mt::new(SEED));
        match self {
            Self::Animals => {
                pairs(&ANIMALS).map(|pair| prompt("animals", "and", &pair.map(|noun| thing(noun, None)))).collect()
            }
            Self::AnimalsObjects => {
                let pairs = ANIMALS.iter().flat_map(|animal| OBJECTS.map(|object| [*animal, object]));
                let prompts = pairs.map(|[animal, object]| {
                    let is_worn = WORN.contains(&object);
                    let colour = (!is_worn).then(|| draw.of(&COLOURS));
                    let things = [thing(animal, None), thing(object, colour)];
                    prompt("animals_objects", if is_worn { "with" } else { "and" }, &things)
                });
                prompts.collect()
            }
            Self::Objects => {
                let prompts = pairs(&OBJECTS).map(|pair| {
                    let colours = draw.several(&COLOURS, 2);
                    let things = [thing(pair[0], Some(colours[0])), thing(pair[1], Some(colours[1]))];
                    prompt("objects", "and", &things)
                });
                prompts.collect()
            }
            Self::Numbers => {
                let nouns: Vec<_> = ANIMALS.into_iter().chain(OBJECTS).collect();
                let numbers = [(2, "two"), (3, "three"), (4, "four")].into_iter();
                let prompts = numbers.flat_map(|(number, set)| std::iter::repeat_n((number, set), 24));
                let prompts = prompts.map(|(number, set)| {
                    let things: Vec<_> =
                        draw.several(&nouns, number).into_iter().map(|noun| thing(noun, None)).collect();
                    prompt(set, "and", &things)
                });
                prompts.collect()
            }
        }
    }
}

/// The things that a prompt of the benchmark's templates asks for; none for any other prompt.
pub fn things_of(prompt: &str) -> Vec<Thing> {
    let separator = if prompt.contains(" and ") { " and " } else { " with " };
    let things = prompt.split(separator).map(|part| {
        let words: Vec<_> = part.split_whitespace().collect();
        let is_article = |word: &str| ["a", "an", "the"].contains(&word);
        match words[..] {
            [article, noun] if is_article(article) => Some(thing(noun, None)),
            [article, colour, noun] if is_article(article) && COLOURS.contains(&colour) => {
                Some(thing(noun, Some(colour)))
            }
            _ => None,
        }
    });
    things.collect::<Option<Vec<_>>>().unwrap_or_default()
}

fn thing(noun: &str, colour: Option<&str>) -> Thing {
    Thing { noun: noun.to_owned(), colour: colour.map(str::to_owned) }
}

fn prompt(set: &str, joined_by: &str, things: &[Thing]) -> Prompt {
    let phrase = |Thing { noun, colour }: &Thing| match colour {
        Some(colour) => format!("a {colour} {noun}"),
        None => format!("a {noun}"),
    };
    let text = things.iter().map(phrase).collect::<Vec<_>>().join(&format!(" {joined_by} "));
    let subjects = things.iter().map(|thing| thing.noun.clone()).collect();
    Prompt { subjects: Some(subjects), things: things.to_vec(), ..Prompt::new(text, set) }
}

/// Every pair once, in the order of the words.
fn pairs<'a>(words: &'a [&'a str]) -> impl Iterator<Item = [&'a str; 2]> {
    let rest = |index: usize| words[index + 1..].iter();
    words.iter().enumerate().flat_map(move |(index, first)| rest(index).map(|second| [*first, *second]))
}

/// Draws that are the same everywhere.
struct Draw(Mt);

impl Draw {
    fn below(&mut self, count: usize) -> usize {
        // Of 2^32 numbers: no word is preferred by more than one in a hundred million.
        self.0.next_u32() as usize % count
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    /// Different ones.
    fn several<'a>(&mut self, words: &[&'a str], count: usize) -> Vec<&'a str> {
        let mut left = words.to_vec();
        (0..count).map(|_| left.remove(self.below(left.len()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn texts(set: PromptSet) -> Vec<String> {
        set.prompts().into_iter().map(|prompt| prompt.text).collect()
    }

    #[test]
    fn the_sets_have_the_sizes_of_the_paper() {
        assert_eq!(PromptSet::PAPER.map(|set| texts(set).len()), [66, 144, 66]);
        let all: BTreeSet<_> = PromptSet::PAPER.into_iter().flat_map(texts).collect();
        assert_eq!(all.len(), 276);
        let worn = texts(PromptSet::AnimalsObjects).into_iter().filter(|text| text.contains(" with "));
        assert_eq!(worn.count(), 36);
        assert_eq!(texts(PromptSet::Animals)[0], "a cat and a dog");
        assert_eq!(texts(PromptSet::Animals)[65], "a rabbit and a mouse");
    }

    /// Committed figures stand on these prompts.
    #[test]
    fn the_draw_is_fixed() {
        let objects = texts(PromptSet::Objects);
        assert_eq!(objects[0], "a white backpack and a black crown");
        assert_eq!(texts(PromptSet::AnimalsObjects)[0], "a cat and a white backpack");
        assert_eq!(texts(PromptSet::Numbers)[71].matches(" and ").count(), 3);
    }

    #[test]
    fn every_colour_is_drawn_and_two_differ() {
        let prompts = PromptSet::Objects.prompts();
        let colours: BTreeSet<_> =
            prompts.iter().flat_map(|prompt| &prompt.things).filter_map(|thing| thing.colour.clone()).collect();
        assert_eq!(colours.len(), COLOURS.len());
        assert!(prompts.iter().all(|prompt| prompt.things[0].colour != prompt.things[1].colour));
    }

    #[test]
    fn things_are_read_back_from_the_templates() {
        for set in [PromptSet::Animals, PromptSet::AnimalsObjects, PromptSet::Objects, PromptSet::Numbers] {
            for prompt in set.prompts() {
                assert_eq!(things_of(&prompt.text), prompt.things, "{}", prompt.text);
            }
        }
        assert_eq!(things_of("a polar bear and a cat"), []);
        assert_eq!(things_of(""), []);
        assert_eq!(things_of("an elephant with the crown"), [thing("elephant", None), thing("crown", None)]);
    }
}
