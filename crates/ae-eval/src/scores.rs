//! What scorers say of pictures.

mod check;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

pub use check::ScoresError;

/// What one scorer says of the pictures of one arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// Who scores.
    pub scorer: Scorer,
    /// One entry per picture.
    pub pictures: Vec<PictureScore>,
}

/// Something that scores pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scorer {
    /// Its name, which is also that of its file: `clip`, `blip`, `detector`.
    pub name: String,
    /// The model behind it, and how far it can be trusted, in words for the reader of a table.
    pub about: String,
    /// What it measures.
    pub metrics: Vec<Metric>,
}

/// A number per picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Its key in the values: `both_subjects`, `clip_full`.
    pub key: String,
    /// Its name for a reader: "Both subjects".
    pub title: String,
    /// What kind of number it is.
    pub kind: MetricKind,
}

/// What kind of number a metric is. More is better in either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// 1 where something holds and 0 where it does not: its mean is a share.
    Share,
    /// A cosine similarity.
    Similarity,
}

/// The scores of a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PictureScore {
    /// Its prompt.
    pub prompt: String,
    /// Its seed.
    pub seed: u64,
    /// SHA-256 of its file: a picture that was drawn anew is scored anew.
    pub sha256: String,
    /// The metrics that apply to it; one that does not, such as colours where the prompt names none, is missing. To seven
    /// decimals, which is what single precision has.
    #[serde(deserialize_with = "values_of_seven_decimals")]
    pub values: BTreeMap<String, f64>,
    /// What the scorer saw, for the reader: the caption, the subjects found.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

/// A value as it is kept. Written and read again it stays the same: that of all digits would not, for readers of JSON are
/// free to be off by the last one.
pub(crate) fn seven_decimals(value: f64) -> f64 {
    (value * 1e7).round() / 1e7
}

fn values_of_seven_decimals<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
    let values = BTreeMap::<String, f64>::deserialize(deserializer)?;
    Ok(values.into_iter().map(|(key, value)| (key, seven_decimals(value))).collect())
}
