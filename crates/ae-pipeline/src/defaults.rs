use std::collections::BTreeMap;

use ae_config::{ConfigError, Fields};
use ae_settings::{Method, Overrides, Settings};
use serde::Deserialize;
use serde_json::Value;

/// The settings that suit a model.
///
/// A model folder may hold them in a file `attend_and_excite.json`; what it does not name is the
/// paper's choice for Stable Diffusion 1. Keys: `name`, `num_inference_steps`, `guidance_scale`,
/// `attention_reduction`, `attention_scale`, `scale_factor`, `thresholds` (an object of steps, as numbers or shares, and what each subject
/// must reach there), `methods` (an object of methods, each with the settings that suit the model with it).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Fields")]
#[non_exhaustive]
pub struct ModelDefaults {
    /// Name and version of the model, for the record.
    pub name: Option<String>,
    /// Latent pixels per patch of the attention maps, along one side.
    pub attention_reduction: usize,
    /// The settings over which the user's are laid: steps, guidance scale, attention scale, scale factor and
    /// thresholds.
    pub settings: Overrides,
    /// What suits the model with a method, by the method's name: it lies over the method's own defaults.
    pub methods: BTreeMap<String, Overrides>,
}

impl Default for ModelDefaults {
    fn default() -> Self {
        Self::try_from(Fields::new("", [])).expect("no field is wrong where there is none")
    }
}

impl TryFrom<Fields> for ModelDefaults {
    type Error = ConfigError;

    /// The other numbers are checked with the settings they become.
    fn try_from(fields: Fields) -> Result<Self, ConfigError> {
        fields.only(&[
            "name",
            "num_inference_steps",
            "guidance_scale",
            "attention_reduction",
            "attention_scale",
            "scale_factor",
            "thresholds",
            "methods",
        ])?;
        let paper = Settings::default();
        let mut settings = Overrides::default();
        settings.steps = Some(fields.or("num_inference_steps", paper.steps)?);
        settings.guidance_scale = Some(fields.or("guidance_scale", paper.guidance_scale)?);
        let (own, paper) = (&mut settings.attend_and_excite, paper.attend_and_excite);
        own.attention_scale = Some(fields.or("attention_scale", paper.attention_scale)?);
        own.scale_factor = Some(fields.or("scale_factor", paper.scale_factor)?);
        own.thresholds = Some(fields.or("thresholds", paper.thresholds)?);
        let attention_reduction = fields.size("attention_reduction", 4, 1 << 16)?;
        let methods = methods(&fields)?;
        Ok(Self { name: fields.or("name", None)?, attention_reduction, settings, methods })
    }
}

/// The settings of each method, checked as those of a picture are.
fn methods(fields: &Fields) -> Result<BTreeMap<String, Overrides>, ConfigError> {
    let given: BTreeMap<String, Value> = fields.or("methods", BTreeMap::new())?;
    let wrong = |reason: String| fields.error("methods", format!("an object of methods with settings ({reason})"));
    for (name, settings) in &given {
        name.parse::<Method>().map_err(|error| wrong(error.to_string()))?;
        let has = |option: &str| settings.get(option).is_some();
        if let Some(option) = ["method", "prompt", "seed"].into_iter().find(|option| has(option)) {
            return Err(wrong(format!("{name} has a {option}")));
        }
    }
    let read = |(name, settings): (String, Value)| {
        let settings = Overrides::from_json(&settings).map_err(|error| wrong(format!("{name}: {error}")))?;
        Ok((name, settings))
    };
    given.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<ModelDefaults, String> {
        Fields::read("attend_and_excite.json", json)
            .and_then(ModelDefaults::try_from)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_model_has_settings_for_a_method() {
        let defaults = read(r#"{"methods": {"syngen": {"attend_and_excite": {"scale_factor": 5}}}}"#).unwrap();
        assert_eq!(defaults.methods["syngen"].attend_and_excite.scale_factor, Some(5.0));
        for (json, said) in [
            (r#"{"methods": {"syngne": {}}}"#, "unknown method `syngne`"),
            (r#"{"methods": {"syngen": {"scale": 5}}}"#, "syngen: unknown field `scale`"),
            (r#"{"methods": {"syngen": {"method": "ebama"}}}"#, "syngen has a method"),
            (r#"{"methods": []}"#, "methods is []"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
