use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Prompt;

/// What an evaluation draws: every prompt with every seed by every arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Name and version of the model.
    pub model: String,
    /// What is compared; the first is what the others are compared with.
    pub arms: Vec<Arm>,
    /// The prompts, set by set.
    pub prompts: Vec<Prompt>,
    /// The seeds of every prompt.
    pub seeds: Vec<u64>,
}

/// A method, or a method with certain settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Its name, which is also that of its folder.
    pub name: String,
    /// All its settings, as they stand in its pictures.
    pub settings: Value,
}
