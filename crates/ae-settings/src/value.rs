//! What the value of an option can be, and how it is read from a text.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Choice;

/// The kind of an option's value, for help texts, forms and schemas.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// Any text.
    Text,
    /// On or off.
    Switch,
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// Two numbers, `1.0,0.5`.
    Pair,
    /// One of some names.
    Choice(&'static [Choice]),
    /// Texts between commas.
    Words,
    /// Whole numbers between commas.
    Indices,
    /// Rows and columns, `16` or `12x20`.
    Resolution,
    /// A step or a share of the steps, `25` or `50%`.
    Step,
    /// Steps with a number each, `0:0.05,20%:0.5`.
    Thresholds,
    /// A file.
    File,
    /// Files.
    Files,
    /// Files with a strength each, `FILE[:STRENGTH]`.
    Loras,
    /// Files with a token each, `FILE[:TOKEN]`.
    Embeddings,
    /// Modifiers with their nouns, `red:car,blue:clock`, or `none`.
    Pairs,
    /// Words that belong together, `red car; blue clock`, or `none`.
    Groups,
    /// Subjects with a box each, `cat:0.1,0.2,0.5,0.9; dog:0.5,0.2,1,0.9`, or `auto`.
    Boxes,
    /// The noise to start from, `seed`, `initno` or `best:8`.
    InitialNoise,
}

impl Kind {
    /// Whether the option can be given several times on a command line.
    pub fn repeats(self) -> bool {
        matches!(self, Self::Files | Self::Loras | Self::Embeddings)
    }
}

/// A type that an option can have.
pub trait OptionValue: Sized {
    /// The type of a value that is given; the type itself, or of an [`Option`] what is in it.
    type Given: Clone + std::fmt::Debug + PartialEq + Serialize + DeserializeOwned;

    /// The kind of the values.
    const KIND: Kind;

    /// Reads the text of a command line.
    ///
    /// # Errors
    ///
    /// A text that is not of this type; the message says what was expected.
    fn parse(text: &str) -> Result<Self::Given, String>;

    /// The value that is given.
    fn given(given: &Self::Given) -> Self;
}

impl<T: OptionValue> OptionValue for Option<T> {
    type Given = T::Given;
    const KIND: Kind = T::KIND;

    fn parse(text: &str) -> Result<T::Given, String> {
        T::parse(text)
    }

    fn given(given: &T::Given) -> Self {
        Some(T::given(given))
    }
}

/// Implements [`OptionValue`] for a type.
macro_rules! option_value {
    ($type:ty, $kind:expr, $parse:expr) => {
        impl $crate::OptionValue for $type {
            type Given = Self;
            const KIND: $crate::Kind = $kind;

            fn parse(text: &str) -> Result<Self, String> {
                $parse(text)
            }

            fn given(given: &Self) -> Self {
                given.clone()
            }
        }
    };
}

pub(crate) use option_value;

option_value!(String, Kind::Text, |text: &str| Ok(text.to_owned()));
option_value!(usize, Kind::Whole, |text: &str| number(text, "a whole number"));
option_value!(u64, Kind::Whole, |text: &str| number(text, "a whole number"));
option_value!(f64, Kind::Number, |text: &str| finite(text, "a finite number"));
option_value!(bool, Kind::Switch, |text: &str| number(text, "true or false"));
option_value!((f64, f64), Kind::Pair, pair);
option_value!(Vec<String>, Kind::Words, |text: &str| Ok(text.split(',').map(|word| word.trim().to_owned()).collect()));
option_value!(Vec<usize>, Kind::Indices, |text: &str| text
    .split(',')
    .map(|part| number(part, "numbers like 2,5 (see `ae tokens`)"))
    .collect());
option_value!([usize; 2], Kind::Resolution, resolution);

fn number<T: std::str::FromStr>(text: &str, expected: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| format!("expected {expected}"))
}

fn finite(text: &str, expected: &str) -> Result<f64, String> {
    let value: f64 = number(text, expected)?;
    if value.is_finite() { Ok(value) } else { Err(format!("expected {expected}")) }
}

fn pair(text: &str) -> Result<(f64, f64), String> {
    let expected = "two numbers like 1.0,0.5";
    let (from, to) = text.split_once(',').ok_or_else(|| format!("expected {expected}"))?;
    Ok((finite(from, expected)?, finite(to, expected)?))
}

fn resolution(text: &str) -> Result<[usize; 2], String> {
    let (rows, cols) = text.split_once('x').unwrap_or((text, text));
    match (rows.trim().parse(), cols.trim().parse()) {
        (Ok(rows), Ok(cols)) if rows > 0 && cols > 0 => Ok([rows, cols]),
        _ => Err("expected a number like 16, or rows x columns like 12x20".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolutions_are_square_or_rows_by_columns() {
        assert_eq!(<[usize; 2]>::parse("16"), Ok([16, 16]));
        assert_eq!(<[usize; 2]>::parse("12x20"), Ok([12, 20]));
        for wrong in ["", "0", "16x", "x16", "16x0", "-1", "1x2x3"] {
            assert!(<[usize; 2]>::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pairs_are_two_numbers() {
        assert_eq!(<(f64, f64)>::parse("1.0, 0.5"), Ok((1.0, 0.5)));
        assert!(<(f64, f64)>::parse("1.0").is_err());
    }
}
