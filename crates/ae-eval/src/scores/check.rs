use std::collections::BTreeSet;

use super::{MetricKind, Scores};

/// A cosine of single precision may exceed 1 by rounding.
const MOST_SIMILAR: f64 = 1.001;

/// Why scores cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoresError {
    /// The file is not one of scores, or has no number where one must be: JSON knows neither NaN nor infinity.
    #[error("these are not scores: {0}; delete the file to score the pictures anew")]
    Json(serde_json::Error),
    /// A value that the metric cannot have.
    #[error("{metric} is {value} for “{prompt}”, seed {seed}: expected {expected}; score the picture anew")]
    Value {
        /// The prompt of the picture.
        prompt: String,
        /// Its seed.
        seed: u64,
        /// The key of the metric.
        metric: String,
        /// What is there.
        value: f64,
        /// What could be there.
        expected: &'static str,
    },
    /// A value of no metric.
    #[error(
        "“{prompt}”, seed {seed}, has a value of {metric}, which the scorer '{scorer}' does not list among its metrics"
    )]
    UnknownMetric {
        /// The prompt of the picture.
        prompt: String,
        /// Its seed.
        seed: u64,
        /// The key of the value.
        metric: String,
        /// The name of the scorer.
        scorer: String,
    },
    /// A name that would be a way to another folder.
    #[error("the name of a scorer is {name}: expected one that a folder can have on every system")]
    Name {
        /// The name, quoted and cut.
        name: String,
    },
    /// A metric that is listed twice.
    #[error("the scorer '{scorer}' lists the metric {metric} twice: each needs a key of its own")]
    RepeatedMetric {
        /// The key of the metric.
        metric: String,
        /// The name of the scorer.
        scorer: String,
    },
    /// A picture that is scored twice.
    #[error("“{prompt}”, seed {seed}, is scored twice by '{scorer}': one entry must go")]
    RepeatedPicture {
        /// The prompt of the picture.
        prompt: String,
        /// Its seed.
        seed: u64,
        /// The name of the scorer.
        scorer: String,
    },
}

impl Scores {
    /// Reads the text of a file of scores and [checks](Self::check) it.
    ///
    /// # Errors
    ///
    /// When it is not JSON of scores, or a value cannot be.
    pub fn from_json(text: &str) -> Result<Self, ScoresError> {
        let scores: Self = serde_json::from_str(text).map_err(ScoresError::Json)?;
        scores.check()?;
        Ok(scores)
    }

    /// Whether every value is one that its metric can have: 0 or 1 for a share, between -1 and 1 for a similarity.
    ///
    /// # Errors
    ///
    /// At the first value that is not, or is of no metric, and where a metric or a picture stands twice.
    pub fn check(&self) -> Result<(), ScoresError> {
        if !ae_files::is_plain_name(&self.scorer.name) {
            return Err(ScoresError::Name { name: crate::plan::quoted(&self.scorer.name) });
        }
        let scorer = || self.scorer.name.clone();
        let mut keys = BTreeSet::new();
        if let Some(metric) = self.scorer.metrics.iter().find(|metric| !keys.insert(&metric.key)) {
            return Err(ScoresError::RepeatedMetric { metric: metric.key.clone(), scorer: scorer() });
        }
        let mut seen = BTreeSet::new();
        for picture in &self.pictures {
            let (prompt, seed) = (&picture.prompt, picture.seed);
            if !seen.insert((prompt, seed)) {
                return Err(ScoresError::RepeatedPicture { prompt: prompt.clone(), seed, scorer: scorer() });
            }
            for (key, &value) in &picture.values {
                let Some(metric) = self.scorer.metrics.iter().find(|metric| metric.key == *key) else {
                    let (prompt, metric) = (prompt.clone(), key.clone());
                    return Err(ScoresError::UnknownMetric { prompt, seed, metric, scorer: scorer() });
                };
                if let Some(expected) = metric.kind.lacks(value) {
                    let (prompt, metric) = (prompt.clone(), key.clone());
                    return Err(ScoresError::Value { prompt, seed, metric, value, expected });
                }
            }
        }
        Ok(())
    }
}

impl MetricKind {
    /// What was expected in place of a value that cannot be.
    fn lacks(self, value: f64) -> Option<&'static str> {
        match self {
            Self::Share if [0.0, 1.0].contains(&value) => None,
            Self::Share => Some("0 or 1"),
            // False of NaN.
            Self::Similarity if value.abs() <= MOST_SIMILAR => None,
            Self::Similarity => Some("a number from -1 to 1"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;
    use crate::{Metric, PictureScore, Scorer};

    fn scores(values: &[(&str, f64)]) -> Scores {
        let metric = |key: &str, kind| Metric { key: key.to_owned(), title: key.to_owned(), kind };
        let values: BTreeMap<_, _> = values.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect();
        let (prompt, sha256, detail) = ("a cat".to_owned(), String::new(), Value::Null);
        Scores {
            scorer: Scorer {
                name: "clip".to_owned(),
                about: String::new(),
                metrics: vec![metric("both", MetricKind::Share), metric("clip", MetricKind::Similarity)],
            },
            pictures: vec![PictureScore { prompt, seed: 3, sha256, values, detail }],
        }
    }

    fn message(scores: &Scores) -> String {
        scores.check().unwrap_err().to_string()
    }

    #[test]
    fn scores_are_read_as_they_were_written() {
        let scores = scores(&[("both", 1.0), ("clip", -0.25)]);
        assert_eq!(Scores::from_json(&serde_json::to_string(&scores).unwrap()).unwrap(), scores);
    }

    #[test]
    fn a_value_that_cannot_be_is_named() {
        for value in [f64::NAN, f64::INFINITY, 31.0] {
            let message = message(&scores(&[("clip", value)]));
            let expected = format!("clip is {value} for “a cat”, seed 3: expected a number from -1 to 1");
            assert!(message.starts_with(&expected), "{message}");
        }
        for value in [f64::NAN, 0.5, -1.0] {
            assert!(message(&scores(&[("both", value)])).contains("expected 0 or 1"));
        }
        scores(&[("clip", 1.000_000_1)]).check().unwrap();
    }

    /// `json.dumps({"clip": math.nan})` in Python; and what others write for it.
    #[test]
    fn no_number_in_a_file_is_an_error() {
        let json = serde_json::to_string(&scores(&[("clip", 0.25)])).unwrap();
        for number in ["NaN", "null", "1e999", "\"0.25\""] {
            let error = Scores::from_json(&json.replace("0.25", number)).unwrap_err();
            assert!(matches!(error, ScoresError::Json(_)), "{number}: {error}");
        }
    }

    #[test]
    fn what_stands_twice_or_nowhere_is_named() {
        assert!(message(&scores(&[("blip", 0.5)])).contains("blip, which the scorer 'clip' does not list"));
        let mut twice = scores(&[]);
        twice.pictures.push(twice.pictures[0].clone());
        assert!(message(&twice).contains("“a cat”, seed 3, is scored twice by 'clip'"));
        let mut twice = scores(&[]);
        twice.scorer.metrics[1].key = "both".to_owned();
        assert!(message(&twice).contains("lists the metric both twice"));
    }
}
