//! Which words of a prompt belong together: subjects, and the modifiers of each.

use std::ops::Range;

use ae_clip::{Subject, SubjectError, TokenizedPrompt, find_subjects};
use ae_phrases::NounPhrase;
use ae_settings::{WordGroup, WordPair};

use crate::automatic_subjects::phrases_of;
use crate::{ObjectiveInputs, PipelineError, SubjectChoice};

/// The subjects of a text, and modifiers, each with its subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) subjects: Vec<Subject>,
    pub(crate) pairs: Vec<[Subject; 2]>,
}

impl Binding {
    /// The binding in each text of a prompt that may change. What a text does not have is left out there; each word that is named must
    /// be in some text.
    ///
    /// # Errors
    ///
    /// When a word is not in the prompt, a noun is not a subject, or there is no subject.
    pub(crate) fn of_texts(
        inputs: &ObjectiveInputs,
        binds: bool,
        texts: &[&TokenizedPrompt],
    ) -> Result<Vec<Self>, PipelineError> {
        let named = inputs.groups.as_deref().filter(|groups| binds && !groups.is_empty());
        if let Some(groups) = named {
            return in_texts(groups, texts, Self::of_groups);
        }
        let names: &[String] = &inputs.boxes.iter().map(|place| place.subject.clone()).collect::<Vec<_>>();
        let subjects = match &inputs.subjects {
            SubjectChoice::Auto if !names.is_empty() => SubjectChoice::Words(names.to_vec()),
            choice => choice.clone(),
        };
        let subjects = subjects.resolve_each(texts)?;
        if !binds {
            return Ok(subjects.into_iter().map(|subjects| Self { subjects, pairs: Vec::new() }).collect());
        }
        let may_grow = inputs.subjects == SubjectChoice::Auto;
        let found = match (&inputs.pairs, &inputs.groups) {
            (Some(pairs), _) => in_texts(pairs, texts, pairs_in)?,
            (None, Some(_)) => vec![Vec::new(); texts.len()],
            (None, None) => texts.iter().zip(&subjects).map(|(text, subjects)| automatic(text, subjects)).collect(),
        };
        let each = subjects.into_iter().zip(found).map(|(subjects, pairs)| with_nouns(subjects, pairs, may_grow));
        each.collect()
    }

    /// Each group with a subject of its own, its last word.
    fn of_groups(text: &TokenizedPrompt, groups: &[WordGroup]) -> Result<Self, PipelineError> {
        let nouns: Vec<_> = groups.iter().filter_map(|group| group.0.last()).collect();
        let subjects = find_subjects(text, &nouns)?;
        let mut pairs = Vec::new();
        for (WordGroup(words), noun) in groups.iter().zip(&subjects) {
            for word in &words[..words.len().saturating_sub(1)] {
                pairs.push([nearest(text, word, noun)?, noun.clone()]);
            }
        }
        Ok(Self { subjects, pairs })
    }

    /// Every subject with its modifiers before it.
    pub(crate) fn groups(&self) -> Vec<Vec<Subject>> {
        let group = |subject: &Subject| self.modifiers_of(subject).chain([subject]).cloned().collect();
        self.subjects.iter().map(group).collect()
    }

    fn modifiers_of<'a>(&'a self, subject: &'a Subject) -> impl Iterator<Item = &'a Subject> {
        self.pairs.iter().filter(move |[_, noun]| noun == subject).map(|[modifier, _]| modifier)
    }
}

/// What is found of some items in each text: of several texts, those that a text has. Each item must be in some text.
fn in_texts<T: Clone, R>(
    items: &[T],
    texts: &[&TokenizedPrompt],
    find: impl Fn(&TokenizedPrompt, &[T]) -> Result<R, PipelineError>,
) -> Result<Vec<R>, PipelineError> {
    if let [text] = texts {
        return Ok(vec![find(text, items)?]);
    }
    let has = |text: &TokenizedPrompt, item: &T| find(text, std::slice::from_ref(item)).is_ok();
    if let Some(missing) = items.iter().find(|item| !texts.iter().any(|text| has(text, item))) {
        find(texts[0], std::slice::from_ref(missing))?;
    }
    let of = |text: &&TokenizedPrompt| {
        let own: Vec<_> = items.iter().filter(|item| has(text, item)).cloned().collect();
        find(text, &own)
    };
    texts.iter().map(of).collect()
}

fn pairs_in(text: &TokenizedPrompt, pairs: &[WordPair]) -> Result<Vec<[Subject; 2]>, PipelineError> {
    let pair = |WordPair { modifier, noun }: &WordPair| {
        let noun = find_subjects(text, &[noun])?.swap_remove(0);
        Ok([nearest(text, modifier, &noun)?, noun])
    };
    pairs.iter().map(pair).collect()
}

/// The occurrence of a word that is nearest to a noun, of two the one before it: "red" of "car" in "a red car and a red clock".
fn nearest(text: &TokenizedPrompt, word: &str, noun: &Subject) -> Result<Subject, PipelineError> {
    let mut all = find_subjects(text, &[word])?;
    let mut count = 2;
    loop {
        match find_subjects(text, &[format!("{word}#{count}")]) {
            Ok(more) => all.extend(more),
            Err(SubjectError::Truncated { .. }) => {}
            // Also where the word has a number of its own.
            Err(_) => break,
        }
        count += 1;
    }
    let key = |subject: &Subject| {
        let (first, last) = (subject.positions[0], subject.positions[subject.positions.len() - 1]);
        let is_behind = first > noun.positions[0];
        (if is_behind { first - noun.positions[0] } else { noun.positions[0] - last }, is_behind)
    };
    Ok(all.into_iter().min_by_key(key).unwrap_or_else(|| unreachable!("one at least")))
}

/// The pairs with nouns that are subjects.
fn with_nouns(mut subjects: Vec<Subject>, pairs: Vec<[Subject; 2]>, may_grow: bool) -> Result<Binding, PipelineError> {
    for [modifier, noun] in &pairs {
        if subjects.iter().any(|subject| subject.positions == noun.positions) {
            continue;
        }
        if !may_grow {
            let names: Vec<_> = subjects.iter().map(|subject| subject.text.as_str()).collect();
            let value = format!("{}:{}", modifier.text, noun.text);
            let expected = format!("a noun that is one of the subjects: {}", names.join(", "));
            return Err(PipelineError::Option { option: "pairs", value, expected });
        }
        let place = subjects.partition_point(|subject| subject.positions[0] < noun.positions[0]);
        subjects.insert(place, noun.clone());
    }
    Ok(Binding { subjects, pairs })
}

/// What describes the subjects in the prompt, by the rules of [`ae_phrases`].
fn automatic(text: &TokenizedPrompt, subjects: &[Subject]) -> Vec<[Subject; 2]> {
    let phrases = phrases_of(text);
    let meets = |a: &Range<usize>, b: &Range<usize>| a.start < b.end && b.start < a.end;
    let mut taken: Vec<usize> = subjects.iter().flat_map(|subject| subject.positions.clone()).collect();
    let mut pairs = Vec::new();
    for noun in subjects {
        let word = text.words().iter().find(|word| word.positions.ends_with(&noun.positions));
        // Two views of one text: a phrase ends inside the word it ends with.
        let is_its = |phrase: &&NounPhrase| word.is_some_and(|word| word.span.contains(&(phrase.head.end - 1)));
        let Some(phrase) = phrases.iter().find(is_its) else { continue };
        for modifier in &phrase.modifiers {
            let words = text.words().iter().filter(|word| meets(&word.span, modifier) && !word.is_cut);
            for word in words {
                if word.positions.iter().any(|position| taken.contains(position)) {
                    continue;
                }
                taken.extend(&word.positions);
                let modifier = Subject { text: word.text.clone(), positions: word.positions.clone() };
                pairs.push([modifier, noun.clone()]);
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use ae_clip::ClipTokenizer;

    use super::*;

    fn inputs(change: impl FnOnce(&mut ObjectiveInputs)) -> ObjectiveInputs {
        let mut inputs = ObjectiveInputs::default();
        change(&mut inputs);
        inputs
    }

    /// Pairs as `modifier(positions):noun(positions)`.
    fn found(inputs: &ObjectiveInputs, texts: &[&str]) -> Result<Vec<Vec<String>>, PipelineError> {
        let tokenizer = ClipTokenizer::stable_diffusion_1();
        let texts: Vec<_> = texts.iter().map(|text| tokenizer.tokenize(text).unwrap()).collect();
        let bindings = Binding::of_texts(inputs, true, &texts.iter().collect::<Vec<_>>())?;
        let shown = |subject: &Subject| {
            let positions: Vec<_> = subject.positions.iter().map(usize::to_string).collect();
            format!("{}({})", subject.text, positions.join("+"))
        };
        let of = |binding: Binding| {
            let group = |group: Vec<Subject>| group.iter().map(shown).collect::<Vec<_>>().join(" ");
            binding.groups().into_iter().map(group).collect::<Vec<_>>()
        };
        Ok(bindings.into_iter().map(of).collect())
    }

    fn auto(text: &str) -> Vec<String> {
        found(&ObjectiveInputs::default(), &[text]).unwrap().swap_remove(0)
    }

    #[test]
    fn modifiers_are_found_in_the_prompt() {
        assert_eq!(auto("a red car and a blue, old clock"), ["red(2) car(3)", "blue(6) old(8) clock(9)"]);
        assert_eq!(auto("a bear that is brown"), ["brown(5) bear(2)"]);
        assert_eq!(auto("a cat and a dog"), ["cat(2)", "dog(5)"]);
        // A word of several tokens, however many.
        let [one] = &auto("a bluish frog")[..] else { panic!("a frog") };
        assert!(one.starts_with("bluish(2") && one.contains(" frog("), "{one}");
    }

    #[test]
    fn pairs_and_groups_are_named() {
        let pairs = |text: &str| {
            inputs(|inputs| inputs.pairs = Some(text.split(',').map(|pair| pair.parse().unwrap()).collect()))
        };
        let groups = |text: &str| {
            inputs(|inputs| inputs.groups = Some(text.split(';').map(|group| group.parse().unwrap()).collect()))
        };
        let text = "a red car and a red clock, running";
        assert_eq!(found(&pairs("red:car,red:clock"), &[text]).unwrap()[0], ["red(2) car(3)", "red(6) clock(7)"]);
        assert_eq!(found(&groups("red clock;car"), &[text]).unwrap()[0], ["red(6) clock(7)", "car(3)"]);
        // A noun that nobody would have picked becomes a subject.
        assert_eq!(found(&pairs("red:running"), &[text]).unwrap()[0], ["car(3)", "clock(7)", "red(6) running(9)"]);
        assert_eq!(found(&pairs("red#1:clock"), &[text]).unwrap()[0][1], "red(2) clock(7)");
        let none = inputs(|inputs| inputs.pairs = Some(Vec::new()));
        assert_eq!(found(&none, &[text]).unwrap()[0], ["car(3)", "clock(7)"]);
        let error = found(&pairs("green:car"), &[text]).unwrap_err().to_string();
        assert!(error.starts_with("'green' is not in the prompt"), "{error}");
        let named = inputs(|inputs| {
            inputs.subjects = SubjectChoice::Words(vec!["car".to_owned()]);
            inputs.pairs = Some(vec!["red:clock".parse().unwrap()]);
        });
        let error = found(&named, &[text]).unwrap_err().to_string();
        assert_eq!(error, "pairs is red:clock: expected a noun that is one of the subjects: car");
    }

    #[test]
    fn a_text_has_of_the_pairs_what_it_has_of_the_words() {
        let texts = ["a red car", "a blue dog"];
        let named = inputs(|inputs| inputs.pairs = Some(vec!["red:car".parse().unwrap(), "blue:dog".parse().unwrap()]));
        assert_eq!(found(&named, &texts).unwrap(), [["red(2) car(3)"], ["blue(2) dog(3)"]]);
        let missing = inputs(|inputs| inputs.pairs = Some(vec!["blue:car".parse().unwrap()]));
        assert!(found(&missing, &texts).is_err());
    }

    #[test]
    fn what_was_cut_binds_nothing() {
        let long = format!("a red car {}and a blue dog", "and ".repeat(73));
        assert_eq!(auto(&long), ["red(2) car(3)"]);
        let named = inputs(|inputs| inputs.pairs = Some(vec!["blue:dog".parse().unwrap()]));
        assert!(found(&named, &[&long]).unwrap_err().to_string().contains("was cut"));
    }
}
