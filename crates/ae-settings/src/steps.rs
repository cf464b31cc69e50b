//! Denoising steps as a number or as a share of all of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Number, Value};

use crate::Kind;
use crate::value::option_value;

/// A denoising step, or a number of steps: as it is counted, or as a share of the steps of a run.
///
/// In JSON a number counts steps and a text such as `"40%"` is a share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StepIndex {
    /// So many steps, whatever the run has.
    Steps(usize),
    /// So many hundredths of the run's steps.
    Percent(f64),
}

impl StepIndex {
    /// The step in a run of `num_inference_steps` steps; a share is rounded.
    #[expect(clippy::cast_sign_loss, reason = "a share is not negative")]
    pub fn resolve(self, num_inference_steps: usize) -> usize {
        match self {
            Self::Steps(steps) => steps,
            Self::Percent(percent) => (num_inference_steps as f64 * percent / 100.0).round() as usize,
        }
    }
}

impl fmt::Display for StepIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(steps) => write!(f, "{steps}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for StepIndex {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let index = match text.strip_suffix('%') {
            Some(percent) => percent.parse().ok().filter(|share| (0.0..=100.0).contains(share)).map(Self::Percent),
            None => text.parse().ok().map(Self::Steps),
        };
        index.ok_or_else(|| "expected a number of steps like 25, or a share of them like 50%".to_owned())
    }
}

impl Serialize for StepIndex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Steps(steps) => serializer.serialize_u64(*steps as u64),
            Self::Percent(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for StepIndex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(deserializer)? {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text,
            other => other.to_string(),
        };
        text.parse().map_err(de::Error::custom)
    }
}

option_value!(StepIndex, Kind::Step, |text: &str| text.parse());

/// Steps with iterative refinement, and the attention that each subject must reach there.
///
/// In JSON an object from steps to numbers, `{"0%": 0.05, "10": 0.5}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thresholds(Vec<(StepIndex, f64)>);

impl Thresholds {
    /// Thresholds in any order.
    pub fn new(thresholds: impl IntoIterator<Item = (StepIndex, f64)>) -> Self {
        let mut thresholds: Vec<_> = thresholds.into_iter().collect();
        let key = |step: StepIndex| match step {
            StepIndex::Steps(steps) => (0, steps as f64),
            StepIndex::Percent(percent) => (1, percent),
        };
        thresholds.sort_by(|(a, _), (b, _)| {
            let ((kind_a, a), (kind_b, b)) = (key(*a), key(*b));
            kind_a.cmp(&kind_b).then(a.total_cmp(&b))
        });
        Self(thresholds)
    }

    /// No refinement.
    pub fn none() -> Self {
        Self::default()
    }

    /// The thresholds in their order.
    pub fn iter(&self) -> impl Iterator<Item = (StepIndex, f64)> {
        self.0.iter().copied()
    }

    /// The threshold of every step in a run of `num_inference_steps` steps whose first `altered` are guided.
    ///
    /// On one step the highest threshold counts. A share that falls outside the altered steps is dropped; a step that is
    /// given as a number is taken as written.
    pub fn resolve(&self, num_inference_steps: usize, altered: usize) -> std::collections::BTreeMap<usize, f64> {
        let mut resolved = std::collections::BTreeMap::new();
        for (step, threshold) in self.iter() {
            let index = step.resolve(num_inference_steps);
            if matches!(step, StepIndex::Percent(_)) && index >= altered {
                continue;
            }
            let highest = resolved.entry(index).or_insert(threshold);
            *highest = f64::max(*highest, threshold);
        }
        resolved
    }
}

impl FromStr for Thresholds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::none());
        }
        let pair = |part: &str| {
            let (step, threshold) = part.split_once(':')?;
            Some((step.parse().ok()?, threshold.trim().parse().ok().filter(|value: &f64| value.is_finite())?))
        };
        let pairs = text.split(',').map(|part| {
            pair(part)
                .ok_or_else(|| format!("'{part}' is not a threshold: expected STEP:X like 0:0.05 or 20%:0.5, or none"))
        });
        pairs.collect::<Result<Vec<_>, _>>().map(Self::new)
    }
}

impl Serialize for Thresholds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(step, threshold)| (step.to_string(), threshold)))
    }
}

impl<'de> Deserialize<'de> for Thresholds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = Map::<String, Value>::deserialize(deserializer)?;
        let pairs = map.iter().map(|(step, threshold)| {
            let threshold = threshold.as_number().and_then(Number::as_f64);
            Ok((step.parse()?, threshold.ok_or_else(|| format!("expected a number at step {step}"))?))
        });
        pairs.collect::<Result<Vec<_>, String>>().map(Self::new).map_err(de::Error::custom)
    }
}

option_value!(Thresholds, Kind::Thresholds, |text: &str| text.parse());

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn thresholds(text: &str) -> Thresholds {
        text.parse().unwrap()
    }

    #[test]
    fn shares_follow_the_steps_and_numbers_do_not() {
        let paper = thresholds("0%:0.05,20%:0.5,40%:0.8");
        assert_eq!(paper.resolve(50, 25), BTreeMap::from([(0, 0.05), (10, 0.5), (20, 0.8)]));
        assert_eq!(paper.resolve(20, 10), BTreeMap::from([(0, 0.05), (4, 0.5), (8, 0.8)]));
        // 0, 0.2 and 0.4 round to one step: the highest counts.
        assert_eq!(paper.resolve(1, 1), BTreeMap::from([(0, 0.8)]));
        // 40 % of 4 steps is step 2, which is not altered.
        assert_eq!(paper.resolve(4, 2), BTreeMap::from([(0, 0.05), (1, 0.5)]));
        assert_eq!(thresholds("30:0.5").resolve(20, 10), BTreeMap::from([(30, 0.5)]));
        assert_eq!(StepIndex::Percent(50.0).resolve(5), 3);
    }

    #[test]
    fn texts_and_json_round_trip() {
        let option = crate::AttendAndExcite::OPTIONS.iter().find(|option| option.name == "thresholds").unwrap();
        for text in ["0%:0.05,20%:0.5,40%:0.8", "0:0.05,10:0.5", "3:0.1,12.5%:0.2", "none"] {
            let again = option.text(&serde_json::to_value(thresholds(text)).unwrap());
            assert_eq!(thresholds(&again), thresholds(text), "{again}");
            let json = serde_json::to_string(&thresholds(text)).unwrap();
            assert_eq!(serde_json::from_str::<Thresholds>(&json).unwrap(), thresholds(text), "{json}");
        }
        assert_eq!(thresholds("0:0.05, 10:0.5"), thresholds("10:0.5,0:0.05"));
        for wrong in ["", "0", "0:", ":0.5", "0=0.5", "-1:0.5", "101%:0.5", "NaN%:1", "0:NaN"] {
            assert!(wrong.parse::<Thresholds>().is_err(), "{wrong}");
        }
        assert!(serde_json::from_str::<Thresholds>(r#"{"0": "x"}"#).is_err());
        for wrong in ["-1", "", "x", "1.5", "120%"] {
            assert!(wrong.parse::<StepIndex>().is_err(), "{wrong}");
        }
    }
}
