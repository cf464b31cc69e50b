//! The noise that a run starts from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Kind;
use crate::value::option_value;

/// How the noise that a run starts from is found. The seed decides it in every case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InitialNoise {
    /// It is that of the seed; written `seed`.
    #[default]
    Seed,
    /// It is optimised, and drawn anew where that does not help (InitNO, Guo et al. 2024); written `initno`.
    InitNo,
    /// Of so many noises it is the one whose attention promises most; written `best:8`.
    Best(usize),
}

/// Most noises that are compared.
const MOST: usize = 10_000;

impl FromStr for InitialNoise {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let count = |text: &str| text.parse().ok().filter(|count| (1..=MOST).contains(count));
        match text.trim() {
            "seed" => Ok(Self::Seed),
            "initno" => Ok(Self::InitNo),
            other => match other.strip_prefix("best:").and_then(count) {
                Some(count) => Ok(Self::Best(count)),
                None => Err(format!("expected seed, initno, or best:N with a number up to {MOST}, like best:8")),
            },
        }
    }
}

impl fmt::Display for InitialNoise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seed => f.write_str("seed"),
            Self::InitNo => f.write_str("initno"),
            Self::Best(count) => write!(f, "best:{count}"),
        }
    }
}

impl Serialize for InitialNoise {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for InitialNoise {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

option_value!(InitialNoise, Kind::InitialNoise, |text: &str| text.parse());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_written() {
        for text in ["seed", "initno", "best:8"] {
            assert_eq!(text.parse::<InitialNoise>().unwrap().to_string(), text);
        }
        for text in ["", "best", "best:", "best:0", "best:-1", "best:10001", "worst:3"] {
            assert!(text.parse::<InitialNoise>().unwrap_err().starts_with("expected seed"), "{text}");
        }
    }
}
