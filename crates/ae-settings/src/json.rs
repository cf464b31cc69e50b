//! Settings as JSON, with errors that name the option.

use serde_json::{Map, Value};

use crate::{AttendAndExcite, FORMAT, Group, InitialNoise, OptionInfo, Overrides, Settings, SettingsError};

/// The key of the group that is an object of its own.
const GROUP: &str = "attend_and_excite";

/// Options that say the same in two ways.
const CONFLICTS: [(&str, &str); 4] =
    [("subjects", "token_indices"), ("groups", "subjects"), ("groups", "token_indices"), ("groups", "pairs")];

/// An option of former versions, a switch, and what it stands for today.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FormerOption {
    /// Its key in JSON; a command line has hyphens in it.
    pub name: &'static str,
    /// Today's options with their values where it is on. Where it is off, they are left as they are by default.
    pub stands_for: &'static [(&'static str, &'static str)],
}

impl FormerOption {
    /// Every one.
    pub const ALL: &'static [Self] =
        &[Self { name: "prompt_weighting", stands_for: &[("prompt_syntax", "a1111"), ("long_prompts", "cut")] }];
}

/// Puts today's options in the place of former ones, where they are not given themselves.
fn modernised(settings: &Map<String, Value>) -> Result<Map<String, Value>, SettingsError> {
    let mut settings = settings.clone();
    for former in FormerOption::ALL {
        match settings.remove(former.name) {
            None | Some(Value::Null | Value::Bool(false)) => {}
            Some(Value::Bool(true)) => {
                for (name, value) in former.stands_for {
                    let given = settings.entry(*name).or_insert(Value::Null);
                    if given.is_null() {
                        *given = Value::from(*value);
                    }
                }
            }
            Some(value) => return Err(wrong(former.name, &value, "expected true or false".to_owned())),
        }
    }
    Ok(settings)
}

/// Every option, with the key of the group that it is a member of.
pub fn all_options() -> impl Iterator<Item = (Option<&'static str>, &'static OptionInfo)> {
    let own = Settings::OPTIONS.iter().map(|option| (None, option));
    own.chain(AttendAndExcite::OPTIONS.iter().map(|option| (Some(GROUP), option)))
}

/// The default of an option, whatever the method; none where there is none.
pub fn default_value(group: Option<&str>, name: &str) -> Option<Value> {
    let all = object(&Settings::default());
    let value = group.map_or(Some(&all), |group| all.get(group)?.as_object())?.get(name)?.clone();
    (!value.is_null()).then_some(value)
}

impl Overrides {
    /// Reads a JSON object: a settings chunk of any format, the body of a request.
    ///
    /// A null is as absent.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] names the option that is unknown, of the wrong type or outside its range, and a later format.
    pub fn from_json(settings: &Value) -> Result<Self, SettingsError> {
        let Value::Object(settings) = settings else {
            return Err(SettingsError::Json { reason: format!("found {}", shown(settings)) });
        };
        if let Some(found) = settings.get("format").and_then(Value::as_u64).filter(|found| *found > u64::from(FORMAT)) {
            return Err(SettingsError::Format { found, known: FORMAT });
        }
        let settings = &modernised(settings)?;
        let mut checked = checked(settings, "", Settings::OPTIONS)?;
        if let Some(group) = settings.get(GROUP).filter(|group| !group.is_null()) {
            let Value::Object(group) = group else { return Err(wrong(GROUP, group, "expected an object".to_owned())) };
            checked.insert(
                GROUP.to_owned(),
                Value::Object(self::checked(group, "attend_and_excite.", AttendAndExcite::OPTIONS)?),
            );
        }
        for (one, other) in CONFLICTS {
            if checked.contains_key(one) && checked.contains_key(other) {
                return Err(SettingsError::Conflict { one, other });
            }
        }
        serde_json::from_value(Value::Object(checked))
            .map_err(|error| SettingsError::Json { reason: error.to_string() })
    }

    /// As JSON, with the values that are given.
    pub fn to_json(&self) -> Map<String, Value> {
        object(self)
    }
}

impl Settings {
    /// The model's and the user's values over the paper's.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Value`] names an option outside its range.
    pub fn combine<'a>(overrides: impl IntoIterator<Item = &'a Overrides>) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        for given in overrides {
            // Subjects are named in one way: the later one replaces the others.
            if given.subjects.is_some() || given.groups.is_some() {
                settings.token_indices = None;
            }
            if given.token_indices.is_some() || given.groups.is_some() {
                settings.subjects = None;
            }
            if given.groups.is_some() {
                settings.pairs = None;
            }
            if given.subjects.is_some() || given.token_indices.is_some() || given.pairs.is_some() {
                settings.groups = None;
            }
            settings.apply(given);
        }
        settings.check()?;
        Ok(settings)
    }

    /// Checks every range.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Value`] names the first option outside its range.
    pub fn check(&self) -> Result<(), SettingsError> {
        let paper = Self::default();
        check(&object(self), &object(&paper), "", Self::OPTIONS)?;
        let (own, paper) = (object(&self.attend_and_excite), object(&paper.attend_and_excite));
        check(&own, &paper, "attend_and_excite.", AttendAndExcite::OPTIONS)
    }

    /// As JSON, without what is none.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut all = object(self);
        all.retain(|_, value| !value.is_null());
        if let Some(Value::Object(group)) = all.get_mut(GROUP) {
            group.retain(|_, value| !value.is_null());
        }
        // What only other methods read says nothing of this picture.
        all.retain(|name, _| self.method.reads(name));
        if self.initial_noise != InitialNoise::InitNo {
            all.remove("noise_passes");
        }
        // The method may have another.
        if self.initial_noise == InitialNoise::Seed && self.method.defaults().initial_noise.is_none() {
            all.remove("initial_noise");
        }
        if let Some(Value::Object(group)) = all.get_mut(GROUP) {
            group.retain(|name, _| self.method.reads(name));
            if group.is_empty() {
                all.remove(GROUP);
            }
        }
        all
    }

    /// The settings that do not depend on prompt, seed and device: what two pictures of one arm of an evaluation share.
    pub fn of_any_prompt(&self) -> Map<String, Value> {
        let mut all = self.to_json();
        // Devices of several kinds may share an evaluation.
        all.remove("device");
        all.retain(|name, _| Self::OPTIONS.iter().all(|option| option.name != name || option.group != Group::Prompt));
        all
    }
}

fn object(value: &impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => unreachable!("settings are an object"),
    }
}

/// The members that are given, each checked.
fn checked(
    given: &Map<String, Value>,
    prefix: &str,
    options: &[OptionInfo],
) -> Result<Map<String, Value>, SettingsError> {
    let mut checked = Map::new();
    for (name, value) in given.iter().filter(|(name, _)| !(prefix.is_empty() && *name == GROUP)) {
        let Some(option) = options.iter().find(|option| option.name == name) else {
            let expected = options.iter().map(|option| option.name).collect::<Vec<_>>().join(", ");
            let field = format!("{prefix}{}", name.chars().take(60).collect::<String>());
            return Err(SettingsError::Unknown { field, expected });
        };
        if value.is_null() {
            continue;
        }
        option.check(value).map_err(|expected| wrong(&format!("{prefix}{name}"), value, expected))?;
        checked.insert(name.clone(), value.clone());
    }
    Ok(checked)
}

/// Checks every value. JSON has no number that is not finite: it is null, where the default is none.
fn check(
    all: &Map<String, Value>,
    defaults: &Map<String, Value>,
    prefix: &str,
    options: &[OptionInfo],
) -> Result<(), SettingsError> {
    let is_lost =
        |(name, value): &(&String, &Value)| value.is_null() && defaults.get(*name).is_some_and(|own| !own.is_null());
    if let Some((name, _)) = all.iter().find(is_lost) {
        let (field, value) = (format!("{prefix}{name}"), "not finite".to_owned());
        return Err(SettingsError::Value { field, value, expected: "expected a finite number".to_owned() });
    }
    checked(all, prefix, options).map(drop)
}

fn wrong(field: &str, value: &Value, expected: String) -> SettingsError {
    SettingsError::Value { field: field.to_owned(), value: shown(value), expected }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 60 { format!("{}…", text.chars().take(60).collect::<String>()) } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Method, StepIndex, Thresholds};

    fn refused(settings: &Value) -> String {
        Overrides::from_json(settings).unwrap_err().to_string()
    }

    #[test]
    fn unknown_options_wrong_types_and_ranges_are_named() {
        assert!(
            refused(&json!({ "prompt": "a cat", "setps": 3 }))
                .starts_with("unknown field `setps`: expected one of format")
        );
        let group = json!({ "attend_and_excite": { "sigmma": 1 } });
        assert!(refused(&group).starts_with("unknown field `attend_and_excite.sigmma`"));
        assert!(refused(&json!({ "steps": "many" })).starts_with("steps is \"many\": invalid type"));
        assert_eq!(refused(&json!({ "steps": 0 })), "steps is 0: expected a number from 1 to 1000000");
        assert_eq!(refused(&json!({ "strength": 0 })), "strength is 0: expected a number above 0, up to 1");
        assert!(
            refused(&json!({ "scheduler": "runge" })).starts_with("scheduler is \"runge\": unknown scheduler `runge`")
        );
        assert_eq!(refused(&json!({ "attend_and_excite": 3 })), "attend_and_excite is 3: expected an object");
        assert_eq!(refused(&json!([1])), "the settings are not a JSON object: found [1]");
        assert_eq!(
            refused(&json!({ "subjects": ["cat"], "token_indices": [2] })),
            "both subjects and token_indices are given: choose one of them"
        );
        assert_eq!(
            refused(&json!({ "pairs": ["red:car"], "groups": ["blue clock"] })),
            "both groups and pairs are given: choose one of them"
        );
        assert!(refused(&json!({ "boxes": ["cat:0,0,2,1"] })).contains("no part of the picture"));
    }

    #[test]
    fn what_the_method_does_not_read_is_left_out_of_a_picture() {
        let of = |method: Method| Settings { method, ..Settings::default() }.to_json();
        assert_eq!(of(Method::AttendAndExcite)["attend_and_excite"].as_object().unwrap().len(), 10);
        assert!(!of(Method::AttendAndExcite).contains_key("temperature"));
        assert!(!of(Method::StableDiffusion).contains_key("attend_and_excite"));
        let conform = of(Method::Conform);
        assert_eq!(conform["temperature"], 0.5);
        assert!(!conform["attend_and_excite"].as_object().unwrap().contains_key("attention_scale"));
    }

    #[test]
    fn settings_from_the_future_are_refused_by_their_format() {
        assert_eq!(
            refused(&json!({ "format": 9, "prompt": "a cat", "something": 1 })),
            "the settings have format 9; this version reads formats up to 2: use a newer version"
        );
    }

    #[test]
    fn settings_of_the_first_format_are_read() {
        let old = json!({ "version": "0.1.0", "model": "sprites 3", "prompt": "a cat", "negative_prompt": "", "strength": null,
            "rng": "torch-cpu", "steps": 50, "seed": 3, "method": "attend-and-excite", "subjects": null,
            "attend_and_excite": { "max_iter_to_alter": 25, "thresholds": { "0": 0.05 }, "attention_res": null } });
        let given = Overrides::from_json(&old).unwrap();
        assert_eq!(given.attend_and_excite.max_iter_to_alter, Some(StepIndex::Steps(25)));
        assert_eq!(given.attend_and_excite.thresholds, Some(Thresholds::new([(StepIndex::Steps(0), 0.05)])));
        assert_eq!(given.subjects, None);
        assert_eq!(given.seed, Some(3));
    }

    #[test]
    fn former_options_are_read_as_what_they_stand_for() {
        let read =
            |settings: Value| Overrides::from_json(&settings).map(|read| (read.prompt_syntax, read.long_prompts));
        let (syntax, cut, chunks) =
            (Some(crate::PromptSyntax::A1111), Some(crate::LongPrompts::Cut), Some(crate::LongPrompts::Chunks));
        assert_eq!(read(json!({ "prompt_weighting": true })), Ok((syntax, cut)));
        assert_eq!(read(json!({ "prompt_weighting": true, "long_prompts": "chunks" })), Ok((syntax, chunks)));
        assert_eq!(read(json!({ "prompt_weighting": true, "prompt_syntax": null })), Ok((syntax, cut)));
        assert_eq!(read(json!({ "prompt_weighting": false })), Ok((None, None)));
        assert_eq!(read(json!({ "prompt_weighting": null })), Ok((None, None)));
        assert_eq!(refused(&json!({ "prompt_weighting": 1 })), "prompt_weighting is 1: expected true or false");
        for former in FormerOption::ALL {
            let given = former.stands_for.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
            assert!(Overrides::from_json(&Value::Object(given.collect())).is_ok(), "{}", former.name);
        }
    }

    #[test]
    fn settings_are_the_same_after_json() {
        let mut settings = Settings { prompt: "a \"cat\"\0".to_owned(), seed: u64::MAX, ..Settings::default() };
        settings.attend_and_excite.scale_factor = 0.1 + 0.2;
        let text = serde_json::to_string(&settings.to_json()).unwrap();
        let given = Overrides::from_json(&serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!(Settings::combine([&given]).unwrap(), settings);
    }

    #[test]
    fn later_values_count_and_subjects_are_named_in_one_way() {
        let given = |json| Overrides::from_json(&json).unwrap();
        let model = given(json!({ "steps": 30, "subjects": ["cat"] }));
        let user = given(json!({ "token_indices": [2], "attend_and_excite": { "sigma": 1.0 } }));
        let settings = Settings::combine([&model, &user]).unwrap();
        assert_eq!((settings.steps, settings.subjects, settings.token_indices), (30, None, Some(vec![2])));
        assert!((settings.attend_and_excite.sigma - 1.0).abs() < f64::EPSILON);
        let grouped = Settings::combine([&model, &given(json!({ "groups": ["red car"] }))]).unwrap();
        assert!(grouped.subjects.is_none() && grouped.groups.is_some());
        let paired = Settings::combine([&given(json!({ "groups": ["red car"] })), &given(json!({ "pairs": [] }))]);
        assert_eq!(paired.map(|paired| (paired.groups, paired.pairs)), Ok((None, Some(Vec::new()))));
        let both = model.over(&given(json!({ "steps": 20 })));
        assert_eq!(both.steps, Some(20));
    }

    #[test]
    fn every_option_has_words_for_a_person() {
        for (_, option) in all_options() {
            assert!(!option.label.is_empty() && option.help[0].trim_end().len() > 5, "{}", option.name);
        }
    }
}
