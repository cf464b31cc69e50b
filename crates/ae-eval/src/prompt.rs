use serde::{Deserialize, Serialize};

/// A prompt of an evaluation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// The text.
    #[serde(rename = "prompt")]
    pub text: String,
    /// The set it belongs to, such as `animals`: figures are given for every set.
    #[serde(default = "of_no_set")]
    pub set: String,
    /// What guidance shall make appear, as words of the prompt; without it whatever the guidance chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subjects: Option<Vec<String>>,
    /// The same as token positions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_indices: Option<Vec<usize>>,
    /// What the picture shall show, where it is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub things: Vec<Thing>,
}

/// Something that a picture shall show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thing {
    /// What it is.
    pub noun: String,
    /// Its colour, if the prompt names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<String>,
}

impl Prompt {
    /// A prompt of which nothing more is known.
    pub fn new(text: impl Into<String>, set: impl Into<String>) -> Self {
        Self { text: text.into(), set: set.into(), subjects: None, token_indices: None, things: Vec::new() }
    }

    /// The beginning of its text, for errors.
    pub(crate) fn shortened(&self) -> String {
        self.text.chars().take(60).collect()
    }
}

pub(crate) fn of_no_set() -> String {
    "prompts".to_owned()
}
