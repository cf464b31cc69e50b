//! Option values with a syntax of their own.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::str::FromStr;

use ae_pipeline::{EmbeddingChoice, LoraChoice};

/// Seeds in the order given, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seeds(pub(crate) Vec<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        /// More pictures than anybody waits for; a mistyped range is caught before it fills memory.
        const MOST: u64 = 100_000;
        let number = |part: &str| {
            part.trim().parse::<u64>().map_err(|_| format!("'{part}' is no seed: expected numbers like 0,1,2 or 0-63"))
        };
        let mut seeds = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for part in text.split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if last < first {
                return Err(format!("the range {part} runs backwards"));
            }
            if last - first >= MOST {
                return Err(format!("the range {part} has more than {MOST} seeds"));
            }
            seeds.extend((first..=last).filter(|seed| seen.insert(*seed)));
        }
        Ok(Self(seeds))
    }
}

/// Refinement steps and their thresholds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Thresholds(pub(crate) BTreeMap<usize, f64>);

impl FromStr for Thresholds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(BTreeMap::new()));
        }
        let pair = |part: &str| {
            let (step, threshold) = part.split_once(':')?;
            Some((step.trim().parse().ok()?, threshold.trim().parse().ok()?))
        };
        let pairs = text.split(',').map(|part| {
            pair(part).ok_or_else(|| format!("'{part}' is no threshold: expected STEP:X like 0:0.05, or none"))
        });
        pairs.collect::<Result<_, _>>().map(Self)
    }
}

/// The two ends of the line under the root of the step size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ScaleRange(pub(crate) f64, pub(crate) f64);

impl FromStr for ScaleRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split_once(',')
            .and_then(|(from, to)| Some(Self(from.trim().parse().ok()?, to.trim().parse().ok()?)))
            .ok_or_else(|| "expected two numbers like 1.0,0.5".to_owned())
    }
}

/// Rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resolution(pub(crate) [usize; 2]);

impl FromStr for Resolution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rows, cols) = text.split_once('x').unwrap_or((text, text));
        match (rows.trim().parse(), cols.trim().parse()) {
            (Ok(rows), Ok(cols)) if rows > 0 && cols > 0 => Ok(Self([rows, cols])),
            _ => Err("expected a number like 16, or rows x columns like 12x20".to_owned()),
        }
    }
}

/// A LoRA and its strength, `FILE[:STRENGTH]`.
pub(crate) fn lora(text: &str) -> Result<LoraChoice, String> {
    let (path, strength) = match text.rsplit_once(':').and_then(|(path, end)| Some((path, end.parse().ok()?))) {
        Some((path, strength)) => (path, strength),
        None => (text, 1.0),
    };
    match strength {
        strength if f64::is_finite(strength) => Ok(LoraChoice::new(path, strength)),
        _ => Err(format!("the strength {strength} is not finite")),
    }
}

/// A textual inversion and the token for it, `FILE[:TOKEN]`.
#[expect(clippy::unnecessary_wraps, reason = "what clap asks of a parser")]
pub(crate) fn embedding(text: &str) -> Result<EmbeddingChoice, Infallible> {
    Ok(match text.rsplit_once(':') {
        // A colon may belong to the path.
        Some((path, token)) if !token.is_empty() && !Path::new(text).exists() && Path::new(path).exists() => {
            EmbeddingChoice::new(path, Some(token.to_owned()))
        }
        _ => EmbeddingChoice::new(text, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lora_may_have_a_strength() {
        let choice = |path: &str, strength| Ok(LoraChoice::new(path, strength));
        assert_eq!(lora("a.safetensors"), choice("a.safetensors", 1.0));
        assert_eq!(lora("a.safetensors:0.6"), choice("a.safetensors", 0.6));
        assert_eq!(lora("C:\\a.safetensors:-1"), choice("C:\\a.safetensors", -1.0));
        assert!(lora("a:nan").is_err());
    }

    #[test]
    fn an_embedding_may_have_a_token() {
        let here = file!().rsplit('/').next().unwrap_or_default();
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/args").join(here);
        let text = format!("{}:<toy>", folder.display());
        let expected = EmbeddingChoice::new(folder, Some("<toy>".to_owned()));
        assert_eq!(embedding(&text), Ok(expected));
        assert_eq!(embedding("no:file"), Ok(EmbeddingChoice::new("no:file", None)));
    }

    #[test]
    fn seeds_are_lists_and_ranges_without_repeats() {
        assert_eq!("3,0-2,1".parse(), Ok(Seeds(vec![3, 0, 1, 2])));
        assert_eq!("18446744073709551615".parse(), Ok(Seeds(vec![u64::MAX])));
        for wrong in ["", "a", "1,", "5-2", "-1", "0-18446744073709551615", "1.5", "0-"] {
            assert!(wrong.parse::<Seeds>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn thresholds_are_pairs_or_none() {
        assert_eq!("none".parse(), Ok(Thresholds(BTreeMap::new())));
        assert_eq!("0:0.05, 10:0.5".parse(), Ok(Thresholds(BTreeMap::from([(0, 0.05), (10, 0.5)]))));
        for wrong in ["", "0", "0:", ":0.5", "0=0.5", "-1:0.5"] {
            assert!(wrong.parse::<Thresholds>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn resolutions_are_square_or_rows_by_columns() {
        assert_eq!("16".parse(), Ok(Resolution([16, 16])));
        assert_eq!("12x20".parse(), Ok(Resolution([12, 20])));
        for wrong in ["", "0", "16x", "x16", "16x0", "-1", "1x2x3"] {
            assert!(wrong.parse::<Resolution>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn scale_ranges_are_two_numbers() {
        assert_eq!("1.0, 0.5".parse(), Ok(ScaleRange(1.0, 0.5)));
        assert!("1.0".parse::<ScaleRange>().is_err());
    }
}
