use std::collections::BTreeMap;

use ae_files::{is_plain_name, show_foreign};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Prompt, PromptSet};

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
    /// The files that prompts name, such as LoRAs, by their base names, with their SHA-256.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
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

/// Two plans that cannot be one evaluation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Different models.
    #[error("it is of the model '{known}', not of '{new}'")]
    Model {
        /// That of the folder.
        known: String,
        /// The new one.
        new: String,
    },
    /// An arm with other settings under the same name.
    #[error("its '{arm}' has {option} {known}, not {new}")]
    Arm {
        /// The arm.
        arm: String,
        /// The first setting that differs.
        option: String,
        /// Its value in the folder.
        known: Value,
        /// The new value.
        new: Value,
    },
    /// A name that would be a way to another folder.
    #[error("the name of an arm is {name}: expected one that a folder can have on every system")]
    Name {
        /// The name, quoted and cut.
        name: String,
    },
    /// A prompt with other subjects, or of another set.
    #[error("its prompt '{prompt}' has other subjects, or belongs to another set")]
    Prompt {
        /// The prompt, shortened.
        prompt: String,
    },
    /// Another file under a name that prompts use.
    #[error("its file '{name}' has the SHA-256 {known:.10}..., not {new:.10}...")]
    File {
        /// The base name.
        name: String,
        /// The hash in the folder.
        known: String,
        /// The new hash.
        new: String,
    },
}

impl Plan {
    /// Whether the names can be those of folders: a plan on disk may be anyone's.
    ///
    /// # Errors
    ///
    /// At the first name that is no plain one.
    pub fn check(&self) -> Result<(), PlanError> {
        match self.arms.iter().find(|arm| !is_plain_name(&arm.name)) {
            Some(arm) => Err(PlanError::Name { name: quoted(&arm.name) }),
            None => Ok(()),
        }
    }

    /// This plan with what another one adds to it: arms, prompts and seeds.
    ///
    /// # Errors
    ///
    /// When both give different meanings to one name.
    pub fn united(&self, other: &Self) -> Result<Self, PlanError> {
        if self.model != other.model {
            return Err(PlanError::Model { known: self.model.clone(), new: other.model.clone() });
        }
        let mut all = self.clone();
        for arm in &other.arms {
            match self.arms.iter().find(|known| known.name == arm.name) {
                None => all.arms.push(arm.clone()),
                Some(known) => known.must_equal(arm)?,
            }
        }
        let known: BTreeMap<_, _> = self.prompts.iter().map(|prompt| (&prompt.text, prompt)).collect();
        for prompt in &other.prompts {
            match known.get(&prompt.text) {
                None => all.prompts.push(prompt.clone()),
                Some(known) if *known == prompt => {}
                Some(_) => return Err(PlanError::Prompt { prompt: prompt.shortened() }),
            }
        }
        for (name, new) in &other.files {
            let known = all.files.entry(name.clone()).or_insert_with(|| new.clone());
            if known != new {
                return Err(PlanError::File { name: name.clone(), known: known.clone(), new: new.clone() });
            }
        }
        all.seeds.extend(&other.seeds);
        all.seeds.sort_unstable();
        all.seeds.dedup();
        Ok(all)
    }

    /// This plan with prompts of the benchmark in the sets they have there, and in its order.
    pub(crate) fn with_sets_of_the_benchmark(mut self) -> Self {
        let benchmark: Vec<_> = PromptSet::PAPER.into_iter().flat_map(PromptSet::prompts).collect();
        // Another draw has other colours and another order inside a pair.
        let key = |prompt: &Prompt| {
            let mut nouns: Vec<_> = prompt.things.iter().map(|thing| thing.noun.clone()).collect();
            nouns.sort();
            (nouns.len() == 2).then_some(nouns)
        };
        let places: BTreeMap<_, _> =
            benchmark.iter().enumerate().filter_map(|(place, prompt)| Some((key(prompt)?, place))).collect();
        let place = |prompt: &Prompt| places.get(&key(prompt)?).copied();
        for prompt in &mut self.prompts {
            if let Some(place) = place(prompt) {
                prompt.set.clone_from(&benchmark[place].set);
            }
        }
        self.prompts.sort_by_key(|prompt| place(prompt).unwrap_or(usize::MAX));
        self
    }
}

/// A text in quotes on one line, cut.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", show_foreign(text, 80, false))
}

impl Arm {
    fn must_equal(&self, other: &Self) -> Result<(), PlanError> {
        if self.settings == other.settings {
            return Ok(());
        }
        let (option, known, new) = first_difference("", &self.settings, &other.settings);
        Err(PlanError::Arm { arm: self.name.clone(), option, known, new })
    }
}

/// Where two values differ first, by the path to it.
fn first_difference(path: &str, known: &Value, new: &Value) -> (String, Value, Value) {
    if let (Value::Object(known), Value::Object(new)) = (known, new) {
        let keys = known.keys().chain(new.keys());
        let of = |map: &serde_json::Map<String, Value>, key: &String| map.get(key).cloned().unwrap_or_default();
        for key in keys {
            let (known, new) = (of(known, key), of(new, key));
            if known != new {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                return first_difference(&path, &known, &new);
            }
        }
    }
    (path.to_owned(), known.clone(), new.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan() -> Plan {
        let arm = |name: &str| Arm { name: name.to_owned(), settings: json!({ "steps": 50, "a": { "b": 1 } }) };
        Plan {
            model: "m".to_owned(),
            arms: vec![arm("plain"), arm("guided")],
            prompts: vec![Prompt::new("a cat", "s")],
            seeds: vec![1, 0],
            files: BTreeMap::from([("ink.safetensors".to_owned(), "00".repeat(32))]),
        }
    }

    #[test]
    fn arms_prompts_and_seeds_can_be_added() {
        let mut more = plan();
        more.arms[0].name = "other".to_owned();
        more.prompts[0].text = "a dog".to_owned();
        more.seeds = vec![7, 1];
        more.files = BTreeMap::from([("oil.safetensors".to_owned(), "11".repeat(32))]);
        let all = plan().united(&more).unwrap();
        let names: Vec<_> = all.arms.iter().map(|arm| arm.name.as_str()).collect();
        assert_eq!(names, ["plain", "guided", "other"]);
        assert_eq!((all.prompts.len(), &*all.seeds), (2, [0, 1, 7].as_slice()));
        assert_eq!(all.files.keys().collect::<Vec<_>>(), ["ink.safetensors", "oil.safetensors"]);
        assert_eq!(all.united(&plan()).unwrap(), all);
    }

    #[test]
    fn one_name_has_one_meaning() {
        let refusal = |change: &dyn Fn(&mut Plan)| {
            let mut other = plan();
            change(&mut other);
            plan().united(&other).unwrap_err().to_string()
        };
        assert_eq!(refusal(&|plan| plan.model = "n".to_owned()), "it is of the model 'm', not of 'n'");
        assert_eq!(refusal(&|plan| plan.arms[1].settings["a"]["b"] = json!(2)), "its 'guided' has a.b 1, not 2");
        assert_eq!(refusal(&|plan| plan.arms[0].settings = json!({})), "its 'plain' has a {\"b\":1}, not null");
        let other_file = refusal(&|plan| *plan.files.get_mut("ink.safetensors").unwrap() = "11".repeat(32));
        assert_eq!(other_file, "its file 'ink.safetensors' has the SHA-256 0000000000..., not 1111111111...");
        let other_set = "its prompt 'a cat' has other subjects, or belongs to another set";
        assert_eq!(refusal(&|plan| plan.prompts[0].set = "t".to_owned()), other_set);
    }
}
