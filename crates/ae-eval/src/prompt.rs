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

fn of_no_set() -> String {
    "prompts".to_owned()
}
