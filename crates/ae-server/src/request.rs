use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::Limits;
use crate::error::ApiError;

/// What to draw. Only the prompt is needed: what is absent is as the model's defaults, or the paper's, say.
///
/// The `settings` chunk of every picture is such an object, with `seed` for `seeds`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "prompt": "a cat and a frog", "subjects": ["cat", "frog"], "seeds": [7] }))]
pub struct GenerateRequest {
    /// What the picture shall show.
    pub prompt: String,
    /// What it shall not show.
    #[serde(default)]
    pub negative_prompt: String,
    /// Words or phrases of the prompt that must appear; `cat#2` is the second cat.
    pub subjects: Option<Vec<String>>,
    /// Token positions that must appear, instead of `subjects`.
    pub token_indices: Option<Vec<usize>>,
    /// One picture each; absent: one random seed.
    #[serde(default)]
    pub seeds: Vec<u64>,
    /// The id of a model; absent: the first.
    pub model: Option<String>,
    /// The id of a device; absent: the first.
    pub device: Option<String>,
    /// `attend-and-excite`, or `stable-diffusion` for plain sampling; absent: the former.
    pub method: Option<String>,
    /// Also draw the plain picture of every seed.
    #[serde(default)]
    pub compare: bool,
    /// Number of denoising steps.
    pub steps: Option<usize>,
    /// Scale of classifier-free guidance.
    pub guidance_scale: Option<f64>,
    /// Height in pixels.
    pub height: Option<usize>,
    /// Width in pixels.
    pub width: Option<usize>,
    /// The sampler.
    pub scheduler: Option<String>,
    /// The generator behind a seed.
    pub rng: Option<String>,
    /// Read `(word:1.3)`, `(word)` and `[word]` as weights.
    #[serde(default)]
    pub prompt_weighting: bool,
    /// Layers left out at the end of the text encoder.
    #[serde(default)]
    pub clip_skip: usize,
    /// The parameters of Attend-and-Excite.
    #[serde(default)]
    pub attend_and_excite: GuidanceOptions,
}

/// The parameters of Attend-and-Excite; what is absent is as the model's defaults, or the paper's, say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GuidanceOptions {
    /// Latents are updated at the steps below this one.
    pub max_iter_to_alter: Option<usize>,
    /// Steps with iterative refinement, and the attention each subject must reach there.
    pub thresholds: Option<BTreeMap<usize, f64>>,
    /// Most updates of one refinement.
    pub max_refinement_steps: Option<usize>,
    /// Step size of the latent update.
    pub scale_factor: Option<f64>,
    /// The step size shrinks with the root of a line between these two.
    pub scale_range: Option<(f64, f64)>,
    /// Factor before the softmax over tokens.
    pub attention_scale: Option<f64>,
    /// Rows and columns of the attention maps.
    pub attention_res: Option<[usize; 2]>,
    /// Whether the maps are smoothed; absent: they are.
    pub smoothing: Option<bool>,
    /// Width of the Gaussian.
    pub sigma: Option<f64>,
    /// Side of the Gaussian's kernel, odd.
    pub kernel_size: Option<usize>,
    /// Whether the end token is left out of the softmax: `auto`, `on` or `off`.
    pub eot_normalization: Option<String>,
}

impl GenerateRequest {
    /// Checks what does not depend on the model.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), ApiError> {
        let refuse = |name: &str, value: String, expected: String| {
            Err(ApiError::Invalid(format!("{name} is {value}: expected {expected}")))
        };
        for (name, prompt) in [("prompt", &self.prompt), ("negative_prompt", &self.negative_prompt)] {
            let length = prompt.chars().count();
            if length > limits.max_prompt {
                let expected = format!("at most {}", limits.max_prompt);
                return refuse(name, format!("{length} characters long"), expected);
            }
        }
        for (name, side) in [("height", self.height), ("width", self.width)] {
            if let Some(side) = side.filter(|side| !(1..=limits.max_side).contains(side)) {
                return refuse(name, side.to_string(), format!("1 to {} pixels", limits.max_side));
            }
        }
        if let Some(steps) = self.steps.filter(|steps| !(1..=limits.max_steps).contains(steps)) {
            return refuse("steps", steps.to_string(), format!("1 to {}", limits.max_steps));
        }
        if self.seeds.len() > limits.max_seeds {
            return refuse("seeds", format!("a list of {}", self.seeds.len()), format!("at most {}", limits.max_seeds));
        }
        if self.subjects.is_some() && self.token_indices.is_some() {
            return Err(ApiError::Invalid("both subjects and token_indices are given: choose one of them".to_owned()));
        }
        let named = self.subjects.as_ref().map_or(0, Vec::len) + self.token_indices.as_ref().map_or(0, Vec::len);
        if named > MOST_SUBJECTS {
            return refuse("subjects", format!("a list of {named}"), format!("at most {MOST_SUBJECTS}"));
        }
        let refinement = self.attend_and_excite.max_refinement_steps.unwrap_or(0);
        if refinement > MOST_REFINEMENT {
            return refuse("max_refinement_steps", refinement.to_string(), format!("at most {MOST_REFINEMENT}"));
        }
        Ok(())
    }
}

/// Settings of a picture that are no request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("the settings in this picture have no prompt: it was not made by attend-and-excite-rs")]
    NoPrompt,
    #[error("the settings in this picture cannot be used: {0}")]
    Unusable(#[from] serde_json::Error),
}

impl GenerateRequest {
    /// What draws a picture with these settings again. What a request does not have, such as the version, is left out.
    pub(crate) fn from_settings(settings: &Value) -> Result<Self, SettingsError> {
        let settings = settings.as_object().filter(|settings| settings.contains_key("prompt"));
        let settings = settings.ok_or(SettingsError::NoPrompt)?;
        let Value::Object(known) = serde_json::to_value(Self::default())? else {
            unreachable!("a struct is an object")
        };
        let given = settings.iter().filter(|(key, value)| known.contains_key(*key) && !value.is_null());
        let mut request: Map<_, _> = given.map(|(key, value)| (key.clone(), value.clone())).collect();
        if let Some(seed) = settings.get("seed") {
            request.insert("seeds".to_owned(), Value::from(vec![seed.clone()]));
        }
        Ok(serde_json::from_value(Value::Object(request))?)
    }
}

/// As many as a prompt has tokens.
const MOST_SUBJECTS: usize = 77;
/// Ten times the paper's.
const MOST_REFINEMENT: usize = 200;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(more: &Value) -> String {
        let mut request = json!({ "prompt": "a cat" });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request: GenerateRequest = serde_json::from_value(request).unwrap();
        request.check(&Limits::default()).unwrap_err().to_string()
    }

    #[test]
    fn only_the_prompt_is_needed() {
        let request: GenerateRequest = serde_json::from_str(r#"{"prompt": "a cat"}"#).unwrap();
        assert!(request.check(&Limits::default()).is_ok());
        assert_eq!(request, GenerateRequest { prompt: "a cat".to_owned(), ..GenerateRequest::default() });
    }

    #[test]
    fn what_exceeds_the_limits_is_named() {
        assert_eq!(refused(&json!({ "width": 4096 })), "width is 4096: expected 1 to 1024 pixels");
        assert_eq!(refused(&json!({ "steps": 0 })), "steps is 0: expected 1 to 250");
        assert_eq!(refused(&json!({ "seeds": vec![1; 17] })), "seeds is a list of 17: expected at most 16");
        assert!(refused(&json!({ "prompt": "é".repeat(5001) })).starts_with("prompt is 5001 characters long"));
        assert!(refused(&json!({ "subjects": ["cat"], "token_indices": [2] })).starts_with("both subjects and"));
        let guidance = json!({ "attend_and_excite": { "max_refinement_steps": 1000 } });
        assert!(refused(&guidance).starts_with("max_refinement_steps is 1000"));
    }

    #[test]
    fn unknown_options_are_named() {
        let error = serde_json::from_str::<GenerateRequest>(r#"{"prompt": "a cat", "setps": 3}"#).unwrap_err();
        assert!(error.to_string().starts_with("unknown field `setps`"), "{error}");
    }
}
