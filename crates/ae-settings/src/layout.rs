//! Words of the prompt that belong together, and where in the picture they are to be.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Kind;
use crate::value::option_value;

/// A modifier and its noun, words of the prompt as subjects are named; written `red:car`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordPair {
    /// The modifier.
    pub modifier: String,
    /// The noun.
    pub noun: String,
}

/// A noun, the last word, with its modifiers before it; written `big red car`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordGroup(pub Vec<String>);

/// A part of the picture, in shares of its width and height from the upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the sides of a box")]
pub struct BoundingBox {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

/// A subject and the box that it is to be in; written `cat:LEFT,TOP,RIGHT,BOTTOM`.
#[derive(Clone, Debug, PartialEq)]
pub struct SubjectBox {
    /// The subject, as subjects are named.
    pub subject: String,
    /// Its box.
    pub place: BoundingBox,
}

impl BoundingBox {
    /// Left, top, right and bottom.
    pub fn sides(self) -> [f64; 4] {
        [self.left, self.top, self.right, self.bottom]
    }

    /// Whether it is a part of the picture, and not an empty one.
    pub fn is_valid(self) -> bool {
        let in_order = |low: f64, high: f64| low >= 0.0 && low < high && high <= 1.0;
        in_order(self.left, self.right) && in_order(self.top, self.bottom)
    }

    /// One of `count` boxes side by side, from top to bottom of the picture.
    pub fn beside(index: usize, count: usize) -> Self {
        let at = |index: usize| index as f64 / count as f64;
        Self { left: at(index), top: 0.0, right: at(index + 1), bottom: 1.0 }
    }
}

impl FromStr for WordPair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (modifier, noun) =
            text.rsplit_once(':').map(|(modifier, noun)| (modifier.trim(), noun.trim())).unwrap_or_default();
        if modifier.is_empty() || noun.is_empty() {
            return Err(format!("'{text}' is not a pair: expected MODIFIER:NOUN like red:car"));
        }
        Ok(Self { modifier: modifier.to_owned(), noun: noun.to_owned() })
    }
}

impl fmt::Display for WordPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.modifier, self.noun)
    }
}

impl FromStr for WordGroup {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() { Err("a group is empty: expected words like red car".to_owned()) } else { Ok(Self(words)) }
    }
}

impl fmt::Display for WordGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl FromStr for SubjectBox {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            || format!("'{text}' is not a box: expected SUBJECT:LEFT,TOP,RIGHT,BOTTOM like cat:0.1,0.2,0.5,0.9");
        let (subject, sides) = text.rsplit_once(':').ok_or_else(expected)?;
        let sides: Result<Vec<f64>, _> = sides.split(',').map(|side| side.trim().parse()).collect();
        let (Ok(&[left, top, right, bottom]), false) = (sides.as_deref(), subject.trim().is_empty()) else {
            return Err(expected());
        };
        let place = BoundingBox { left, top, right, bottom };
        if !place.is_valid() {
            return Err(format!(
                "'{text}' is no part of the picture: expected sides from 0 to 1, left before right and top before bottom"
            ));
        }
        Ok(Self { subject: subject.trim().to_owned(), place })
    }
}

impl fmt::Display for SubjectBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [left, top, right, bottom] = self.place.sides();
        write!(f, "{}:{left},{top},{right},{bottom}", self.subject)
    }
}

/// In JSON they are the texts of the command line.
macro_rules! as_text {
    ($($type:ty),+) => {
        $(
            impl Serialize for $type {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_str(self)
                }
            }

            impl<'de> Deserialize<'de> for $type {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
                }
            }
        )+
    };
}

as_text!(WordPair, WordGroup, SubjectBox);

option_value!(Vec<WordPair>, Kind::Pairs, |text: &str| list(text, ','));
option_value!(Vec<WordGroup>, Kind::Groups, |text: &str| list(text, ';'));
option_value!(Vec<SubjectBox>, Kind::Boxes, |text: &str| {
    if text == "auto" { Ok(Vec::new()) } else { list(text, ';') }
});

fn list<T: FromStr<Err = String>>(text: &str, separator: char) -> Result<Vec<T>, String> {
    if text == "none" { Ok(Vec::new()) } else { text.split(separator).map(str::parse).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OptionValue;

    #[test]
    fn texts_are_read_and_written() {
        let pairs = <Vec<WordPair>>::parse("red:car, big : polar bear").unwrap();
        assert_eq!(pairs.iter().map(WordPair::to_string).collect::<Vec<_>>(), ["red:car", "big:polar bear"]);
        let groups = <Vec<WordGroup>>::parse("red  car; blue old clock").unwrap();
        assert_eq!(groups[1].0, ["blue", "old", "clock"]);
        assert_eq!(groups[0].to_string(), "red car");
        let boxes = <Vec<SubjectBox>>::parse("cat#2:0.1,0,0.5,1").unwrap();
        assert_eq!((boxes[0].subject.as_str(), boxes[0].place.sides()), ("cat#2", [0.1, 0.0, 0.5, 1.0]));
        assert_eq!(boxes[0].to_string(), "cat#2:0.1,0,0.5,1");
        assert_eq!(<Vec<WordPair>>::parse("none"), Ok(Vec::new()));
        assert_eq!(<Vec<SubjectBox>>::parse("auto"), Ok(Vec::new()));
        assert_eq!(<Vec<SubjectBox>>::parse("cat:0,0,1,1; dog:0,0,0.5,1").unwrap().len(), 2);
    }

    #[test]
    fn what_is_none_of_them_is_refused() {
        for text in ["", "red", ":car", "red:", "red:car,"] {
            assert!(<Vec<WordPair>>::parse(text).unwrap_err().contains("is not a pair"), "{text}");
        }
        assert!(<Vec<WordGroup>>::parse("red car;").is_err());
        for text in ["", "cat", "cat:", "cat:0,0,1", "cat:0,0,1,1,1", ":0,0,1,1", "cat:a,0,1,1"] {
            assert!(<Vec<SubjectBox>>::parse(text).unwrap_err().contains("is not a box"), "{text}");
        }
        for text in
            ["cat:0,0,0,1", "cat:0.5,0,0.1,1", "cat:-0.1,0,1,1", "cat:0,0,1,1.1", "cat:nan,0,1,1", "cat:0,0,inf,1"]
        {
            assert!(<Vec<SubjectBox>>::parse(text).unwrap_err().contains("no part of the picture"), "{text}");
        }
    }

    #[test]
    fn boxes_side_by_side_share_the_picture() {
        let three: Vec<_> = (0..3).map(|index| BoundingBox::beside(index, 3)).collect();
        assert!(three.windows(2).all(|pair| (pair[0].right - pair[1].left).abs() < f64::EPSILON));
        assert_eq!((three[0].left, three[2].right), (0.0, 1.0));
    }
}
