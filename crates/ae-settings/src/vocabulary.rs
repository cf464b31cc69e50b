//! The words that a small model knows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a model draws that was trained on few things: it stands in `vocabulary.json` in the model's folder, which most models lack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vocabulary {
    /// The things, each by one word, under what they are: `{"animals": ["cat", "dog"]}`.
    pub things: BTreeMap<String, Vec<String>>,
    /// The colours that things have.
    #[serde(default)]
    pub colours: Vec<String>,
}

impl Vocabulary {
    /// Reads the file of a model.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words: it is no JSON of this kind, has no thing, or words that are none.
    pub fn from_json(text: &str) -> Result<Self, String> {
        /// Whoever knows more words needs no list of them.
        const MOST: usize = 1000;
        const LONGEST: usize = 40;
        let found: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let words: Vec<&String> = found.words().chain(found.things.keys()).collect();
        if found.count() == 0 || words.len() > MOST {
            return Err(format!("it has {} things and colours: expected 1 to {MOST}", found.count()));
        }
        let is_word =
            |word: &str| !word.is_empty() && word.chars().count() <= LONGEST && !word.contains(char::is_control);
        match words.into_iter().find(|word| !is_word(word)) {
            Some(word) => Err(format!("{word:?} is no word of at most {LONGEST} letters")),
            None => Ok(found),
        }
    }

    fn words(&self) -> impl Iterator<Item = &String> {
        self.things.values().flatten().chain(&self.colours)
    }

    /// How many things it has.
    pub fn count(&self) -> usize {
        self.things.values().map(Vec::len).sum()
    }

    /// Whether a word is one of the things, in capitals or not.
    pub fn has_thing(&self, word: &str) -> bool {
        self.things.values().flatten().any(|thing| thing.eq_ignore_ascii_case(word))
    }

    /// What it has, in words: "24 things in 11 colours".
    pub fn summary(&self) -> String {
        let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let things = plural(self.count(), "thing");
        if self.colours.is_empty() { things } else { format!("{things} in {}", plural(self.colours.len(), "colour")) }
    }

    /// What is to be said of a prompt whose nouns are not all things of the model; none where they are.
    pub fn note(&self, unknown: &[String]) -> Option<String> {
        let quoted: Vec<String> = unknown.iter().map(|word| format!("'{word}'")).collect();
        let known: Vec<_> = self.things.values().flatten().map(String::as_str).collect();
        let summary = self.summary();
        (!quoted.is_empty()).then(|| {
            format!("the model has not learned {}; it draws {summary}: {}", quoted.join(", "), known.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vocabulary_is_read_and_says_what_it_has() {
        let text = r#"{"things": {"animals": ["cat"], "objects": ["car", "bow"]}, "colours": ["red"]}"#;
        let found = Vocabulary::from_json(text).unwrap();
        assert_eq!((found.count(), found.summary().as_str()), (3, "3 things in 1 colour"));
        assert!(found.has_thing("Cat") && !found.has_thing("red") && !found.has_thing("cats"));
        assert_eq!(found.note(&[]), None);
        let note = "the model has not learned 'banana'; it draws 3 things in 1 colour: cat, car, bow";
        assert_eq!(found.note(&["banana".to_owned()]).as_deref(), Some(note));
        assert_eq!(Vocabulary::from_json(r#"{"things": {"all": ["a"]}}"#).unwrap().summary(), "1 thing");
    }

    #[test]
    fn what_is_no_vocabulary_is_refused() {
        for (text, said) in [
            ("", "EOF while parsing"),
            (r#"{"things": {}}"#, "it has 0 things"),
            (r#"{"things": {"a": ["cat"]}, "sizes": []}"#, "unknown field `sizes`"),
            (r#"{"things": {"a": ["cat\u001b[31m"]}}"#, "is no word"),
            (r#"{"things": {"a": [""]}}"#, "is no word"),
        ] {
            let error = Vocabulary::from_json(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
