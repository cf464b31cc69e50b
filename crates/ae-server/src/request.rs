use std::borrow::Cow;

use ae_settings::a1111::{take_networks, without_comments};
use ae_settings::{InitialNoise, Method, Overrides, PromptSyntax, Settings, SettingsError};
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::error::ApiError;
use crate::{InputFiles, Limits};

/// What to draw: values for the options of [`ae_settings`], of which only the prompt is needed, and what only a server knows.
///
/// In JSON all of it is one object. The `settings` chunk of a picture is such an object too, with `seed` in place of `seeds`.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct GenerateRequest {
    /// One picture each; where it is empty, the server chooses one.
    pub seeds: Vec<u64>,
    /// Also draw the plain picture of every seed.
    pub compare: bool,
    /// The id of a device; absent: the first. The settings of a picture have the kind of its device in
    /// [`overrides`](Self::overrides) instead.
    pub device: Option<String>,
    /// Whether each network is in memory only while it works, which changes no picture; absent: as the server was started.
    pub low_memory: Option<bool>,
    /// Everything else. Anything left out takes the model's default, else the paper's.
    pub overrides: Overrides,
    /// Where the initial image and the mask lie. The server finds them by their hashes; they are no part of the JSON.
    pub images: InputFiles,
}

impl GenerateRequest {
    /// Reads the body of a request, or the settings of a picture.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] names the field that is unknown, of the wrong type, outside its range or missing, and a later format.
    pub fn from_json(mut request: Value) -> Result<Self, SettingsError> {
        // Only settings that were recorded have these; their device is a kind, not an id.
        let is_record = !request["format"].is_null() || !request["version"].is_null();
        let mut take = |name| request.as_object_mut()?.remove(name).filter(|value| !value.is_null());
        let (seeds, compare, low_memory) = (take("seeds"), take("compare"), take("low_memory"));
        let device = if is_record { None } else { take("device") };
        let mut overrides = Overrides::from_json(&request).map_err(with_own_names)?;
        let seeds = match (typed("seeds", seeds)?, overrides.seed.take()) {
            (Some(_), Some(_)) => return Err(SettingsError::Conflict { one: "seed", other: "seeds" }),
            (Some(seeds), None) => seeds,
            (None, seed) => seed.into_iter().collect(),
        };
        if overrides.prompt.is_none() {
            let (field, value) = ("prompt".to_owned(), "missing".to_owned());
            return Err(SettingsError::Value { field, value, expected: "say what to draw".to_owned() });
        }
        let compare = typed("compare", compare)?.unwrap_or_default();
        let (device, low_memory) = (typed("device", device)?, typed("low_memory", low_memory)?);
        Ok(Self { seeds, compare, device, low_memory, overrides, images: InputFiles::default() })
    }

    /// As JSON, without what is absent.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut all = self.overrides.to_json();
        all.insert("seeds".to_owned(), json!(self.seeds));
        all.insert("compare".to_owned(), json!(self.compare));
        if let Some(device) = &self.device {
            all.retain(|name, _| name != "format" && name != "version");
            all.insert("device".to_owned(), json!(device));
        }
        if let Some(low_memory) = self.low_memory {
            all.insert("low_memory".to_owned(), json!(low_memory));
        }
        all
    }

    /// The call of `ae generate` that draws it with what `--model` takes; without one with the embedded model.
    pub fn command_line(&self, model: Option<&str>) -> String {
        let mut given = self.overrides.clone();
        (given.seed, given.format, given.version, given.device) = (None, None, None, None);
        given.model = model.map(str::to_owned);
        let mut arguments = vec!["ae".to_owned(), "generate".to_owned()];
        arguments.extend(given.arguments());
        if !self.seeds.is_empty() {
            let seeds: Vec<_> = self.seeds.iter().map(u64::to_string).collect();
            arguments.push(format!("--seeds={}", seeds.join(",")));
        }
        arguments.extend(self.device.as_ref().map(|device| format!("--device={device}")));
        arguments.extend((self.low_memory == Some(true)).then(|| "--low-memory".to_owned()));
        arguments.extend(self.has_plain().then(|| "--compare".to_owned()));
        // NUL cannot be in an argument; nothing else is refused.
        let quoted = arguments.iter().map(|argument| shlex::try_quote(argument).unwrap_or(Cow::Borrowed(argument)));
        quoted.collect::<Vec<_>>().join(" ")
    }

    /// The prompt.
    pub fn prompt(&self) -> &str {
        self.overrides.prompt.as_deref().unwrap_or_default()
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.overrides.method.unwrap_or(Settings::default().method)
    }

    /// Whether every seed is drawn twice: with the method, and plainly beside it.
    pub fn has_plain(&self) -> bool {
        self.compare && self.method() != Method::StableDiffusion
    }

    /// Checks what a server allows.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), ApiError> {
        Self::check_json(&Value::Object(self.to_json()), limits)?;
        if let Some(InitialNoise::Best(count)) = self.overrides.initial_noise
            && count > limits.max_refinement
        {
            let most = limits.max_refinement;
            let message = format!("initial_noise asks for {count} passes: expected at most {most} (max_refinement)");
            return Err(ApiError::above("initial_noise", "max_refinement", message));
        }
        let named = match self.overrides.prompt_syntax {
            Some(PromptSyntax::A1111) => take_networks(&without_comments(self.prompt())).loras.len(),
            _ => 0,
        };
        let count = named + self.overrides.loras.as_ref().map_or(0, Vec::len);
        if named > 0 && count > limits.max_adapters {
            let most = limits.max_adapters;
            let message = format!(
                "prompt names {named} LoRAs, {count} with those of the request: expected at most {most} (max_adapters)"
            );
            return Err(ApiError::above("prompt", "max_adapters", message));
        }
        Ok(())
    }

    /// Checks what a server allows of a request that was not read yet: all texts and lists of it, whoever reads them, and the
    /// fields that have limits of their own.
    pub(crate) fn check_json(request: &Value, limits: &Limits) -> Result<(), ApiError> {
        let own = limits.of_fields();
        check_all(request, false, &mut String::new(), &|field| own.iter().find(|(name, ..)| *name == field), limits)
    }

    /// The same with its long texts cut and its long lists shortened: of bounded size, and no longer what was asked for.
    pub(crate) fn short(&self) -> Self {
        let short = |overrides: &Overrides| {
            let mut all = Value::Object(overrides.to_json());
            shorten(&mut all);
            Overrides::from_json(&all).unwrap_or_default()
        };
        Self { overrides: short(&self.overrides), images: InputFiles::default(), ..self.clone() }
    }

    /// The JSON Schema of a request: that of the settings, with what only a server knows and what it allows.
    pub(crate) fn json_schema(limits: &Limits) -> Value {
        let mut schema = ae_settings::json_schema();
        schema["title"] = json!("GenerateRequest");
        schema["description"] =
            json!("What to draw. Anything left out, or null, takes the model's default, else the paper's.");
        schema["required"] = json!(["prompt"]);
        schema["examples"] = json!([{ "prompt": "a cat and a frog", "subjects": ["cat", "frog"], "seeds": [7] }]);
        let properties = &mut schema["properties"];
        properties["seeds"] = json!({ "type": "array", "items": { "type": "integer", "minimum": 0 }, "title": "Seeds",
            "description": "One picture each.", "x-default": "one random seed", "x-kind": "indices", "x-group": "request" });
        properties["compare"] = json!({ "type": "boolean", "default": false, "title": "Compare", "x-kind": "switch",
            "description": "Also draw the plain picture of every seed.", "x-group": "request" });
        properties["device"] = json!({ "type": "string", "title": "Device", "x-default": "the first", "x-kind": "text",
            "description": "The id of a device. Settings that have `format` or `version` say the kind that drew them.",
            "x-group": "request" });
        properties["low_memory"] = json!({ "type": "boolean", "title": "Low memory", "x-default": "as the server was started",
            "description": "Each network is read again when it works, and leaves the memory after it. Changes no picture.",
            "x-kind": "switch", "x-group": "request" });
        properties["seed"] = json!({ "type": "integer", "minimum": 0, "title": "Seed", "x-kind": "whole",
            "description": "Stands for `seeds` in the settings of a picture.", "x-group": "request" });
        for (field, _, most) in limits.of_fields() {
            let field = format!("/{}", field.replace('.', "/properties/"));
            let Some(option) = properties.pointer_mut(&field) else { continue };
            let keyword = match option["type"].as_str() {
                Some("string") => "maxLength",
                Some("array") => "maxItems",
                _ => "maximum",
            };
            option[keyword] = json!(most);
        }
        schema
    }
}

impl Serialize for GenerateRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl PartialSchema for GenerateRequest {
    fn schema() -> RefOr<Schema> {
        let schema = Self::json_schema(&Limits::default());
        RefOr::T(serde_json::from_value(schema).expect("an OpenAPI schema is a JSON Schema"))
    }
}

impl ToSchema for GenerateRequest {
    fn name() -> Cow<'static, str> {
        "GenerateRequest".into()
    }
}

/// Checks a value and all that is in it; `own` has the limits of single fields.
fn check_all<'a>(
    value: &Value,
    is_item: bool,
    field: &mut String,
    own: &impl Fn(&str) -> Option<&'a (&'static str, &'static str, usize)>,
    limits: &Limits,
) -> Result<(), ApiError> {
    let (size, is, usual) = match value {
        Value::String(text) => (text.chars().count(), "characters long", Some(("max_prompt", limits.max_prompt))),
        Value::Array(items) => (items.len(), "items long", Some(("max_items", limits.max_items))),
        Value::Object(items) => (items.len(), "entries long", Some(("max_entries", limits.max_entries))),
        Value::Number(number) => (number.as_u64().map_or(0, |number| number as usize), "", None),
        _ => return Ok(()),
    };
    if let Some((limit, most)) = own(field).filter(|_| !is_item).map(|(_, limit, most)| (*limit, *most)).or(usual)
        && size > most
    {
        let message = format!("{field} is {}: expected at most {most} ({limit})", format!("{size} {is}").trim_end());
        return Err(ApiError::above(field, limit, message));
    }
    let length = field.len();
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| check_all(item, true, field, own, limits)),
        Value::Object(items) => items.iter().try_for_each(|(name, item)| {
            // A field of a group is named with it.
            if length > 0 {
                field.push('.');
            }
            field.push_str(name);
            let checked = check_all(item, false, field, own, limits);
            field.truncate(length);
            checked
        }),
        _ => Ok(()),
    }
}

/// Cuts the texts of a value and shortens its lists.
fn shorten(value: &mut Value) {
    /// Characters of a text; a person knows a prompt by its beginning.
    const TEXT: usize = 200;
    const ITEMS: usize = 16;
    match value {
        Value::String(text) => {
            if let Some((at, _)) = text.char_indices().nth(TEXT) {
                text.truncate(at);
                text.push('…');
            }
        }
        Value::Array(items) => {
            items.truncate(ITEMS);
            items.iter_mut().for_each(shorten);
        }
        Value::Object(items) => items.values_mut().for_each(shorten),
        _ => {}
    }
}

/// The value of a field that only requests have.
fn typed<T: DeserializeOwned>(field: &str, value: Option<Value>) -> Result<Option<T>, SettingsError> {
    let Some(value) = value else { return Ok(None) };
    serde_json::from_value(value.clone()).map(Some).map_err(|error| SettingsError::Value {
        field: field.to_owned(),
        value: value.to_string().chars().take(60).collect(),
        expected: error.to_string(),
    })
}

/// What was expected in place of an unknown field may also be one of a request's own.
fn with_own_names(error: SettingsError) -> SettingsError {
    match error {
        SettingsError::Unknown { field, expected } if !field.contains('.') => {
            SettingsError::Unknown { field, expected: format!("seeds, compare, {expected}") }
        }
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &Value) -> Result<GenerateRequest, SettingsError> {
        let mut request = json!({ "prompt": "a cat" });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        GenerateRequest::from_json(request)
    }

    fn refused(more: &Value) -> String {
        match read(more) {
            Ok(request) => request.check(&Limits::default()).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn only_the_prompt_is_needed() {
        let request = read(&json!({})).unwrap();
        assert!(request.check(&Limits::default()).is_ok());
        let mut expected = GenerateRequest::default();
        expected.overrides.prompt = Some("a cat".to_owned());
        assert_eq!(request, expected);
        let missing = GenerateRequest::from_json(json!({ "steps": 3 })).unwrap_err().to_string();
        assert_eq!(missing, "prompt is missing: say what to draw");
    }

    #[test]
    fn what_exceeds_the_limits_is_named() {
        assert_eq!(refused(&json!({ "width": 4096 })), "width is 4096: expected at most 1024 (max_side)");
        assert_eq!(refused(&json!({ "steps": 0 })), "steps is 0: expected a number from 1 to 1000000");
        assert_eq!(refused(&json!({ "steps": 251 })), "steps is 251: expected at most 250 (max_steps)");
        assert_eq!(
            refused(&json!({ "seeds": vec![1; 17] })),
            "seeds is 17 items long: expected at most 16 (max_seeds)"
        );
        assert!(refused(&json!({ "prompt": "é".repeat(5001) })).starts_with("prompt is 5001 characters long"));
        assert!(refused(&json!({ "subjects": ["cat"], "token_indices": [2] })).starts_with("both subjects and"));
        let guidance = json!({ "attend_and_excite": { "max_refinement_steps": 1000 } });
        assert!(refused(&guidance).starts_with("attend_and_excite.max_refinement_steps is 1000"));
    }

    /// Of fields that the method does not read, too.
    #[test]
    fn every_text_and_list_is_bounded() {
        let long = "x".repeat(5001);
        let thresholds: Map<_, _> = (0..251).map(|step| (step.to_string(), json!(0.5))).collect();
        for (more, expected) in [
            (json!({ "method": "stable-diffusion", "subjects": [long] }), "subjects is 5001 characters long"),
            (json!({ "phrases": vec!["a"; 78] }), "phrases is 78 items long: expected at most 77 (max_items)"),
            (
                json!({ "attend_and_excite": { "thresholds": thresholds } }),
                "attend_and_excite.thresholds is 251 entries long",
            ),
            (
                json!({ "loras": [{ "name": long }] }),
                "loras.name is 5001 characters long: expected at most 5000 (max_prompt)",
            ),
        ] {
            let error = refused(&more);
            assert!(error.starts_with(expected), "{error}");
        }
        // A number in a list is no length of it.
        let fine = read(&json!({ "seeds": [4_000_000_000_u64], "token_indices": [76] })).unwrap();
        assert!(fine.check(&Limits::default()).is_ok());
    }

    #[test]
    fn a_short_request_is_small_and_still_a_request() {
        let thresholds: Map<_, _> = (0..200).map(|step| (step.to_string(), json!(0.5))).collect();
        let long = read(&json!({ "prompt": "ä".repeat(5000), "subjects": vec!["b".repeat(5000); 77], "seeds": [1, 2],
            "compare": true, "attend_and_excite": { "thresholds": thresholds } }));
        let short = long.unwrap().short();
        assert!(short.prompt().starts_with("ää") && short.prompt().ends_with("ä…"), "{}", short.prompt());
        assert_eq!((short.seeds.len(), short.compare, short.overrides.subjects.as_ref().unwrap().len()), (2, true, 16));
        assert!(serde_json::to_string(&short).unwrap().len() < 8000);
        let usual = read(&json!({ "subjects": ["cat"], "steps": 3 })).unwrap();
        assert_eq!(usual.short(), usual);
    }

    #[test]
    fn unknown_options_and_wrong_types_are_named() {
        assert!(
            refused(&json!({ "setps": 3 }))
                .starts_with("unknown field `setps`: expected one of seeds, compare, format")
        );
        assert!(refused(&json!({ "seeds": 3 })).starts_with("seeds is 3: invalid type"));
        assert!(refused(&json!({ "device": [] })).starts_with("device is []: invalid type"));
        assert_eq!(refused(&json!({ "seed": 3, "seeds": [3] })), "both seed and seeds are given: choose one of them");
        let future = json!({ "format": 9, "seeds": 3, "something": 1 });
        assert!(refused(&future).starts_with("the settings have format 9"));
    }

    #[test]
    fn settings_of_a_picture_are_a_request() {
        let request =
            read(&json!({ "format": 2, "device": "cuda", "seed": 7, "init_image": { "name": "a.png" } })).unwrap();
        assert_eq!((&request.seeds, &request.device), (&vec![7], &None));
        assert_eq!(request.overrides.device.as_deref(), Some("cuda"));
        assert!(request.overrides.init_image.is_some());
    }

    #[test]
    fn a_request_is_the_same_after_json() {
        for more in [
            json!({ "seeds": [1, 2], "device": "cuda:0", "low_memory": true, "attend_and_excite": { "sigma": 0.25 } }),
            json!({ "format": 2, "device": "cuda", "seed": 3, "method": "structure-diffusion", "phrases": ["a cat"] }),
        ] {
            let request = read(&more).unwrap();
            assert_eq!(GenerateRequest::from_json(serde_json::to_value(&request).unwrap()).unwrap(), request);
        }
        let mut elsewhere = read(&json!({ "format": 2, "device": "cuda" })).unwrap();
        elsewhere.device = Some("cpu".to_owned());
        let again = GenerateRequest::from_json(serde_json::to_value(&elsewhere).unwrap()).unwrap();
        assert_eq!((again.device.as_deref(), again.overrides.device), (Some("cpu"), None));
    }

    #[test]
    fn a_request_is_a_command_line() {
        let request = read(&json!({ "prompt": "a cat's hat", "seeds": [1, 2], "device": "cuda:0", "compare": true,
            "low_memory": true, "model": "sd14", "attend_and_excite": { "smoothing": false } }))
        .unwrap();
        assert_eq!(
            request.command_line(Some("sd14")),
            r#"ae generate --prompt "a cat's hat" --model sd14 --no-smoothing '--seeds=1,2' '--device=cuda:0' --low-memory --compare"#
        );
        assert_eq!(read(&json!({})).unwrap().command_line(None), "ae generate --prompt 'a cat'");
    }

    #[test]
    fn the_schema_has_the_limits() {
        let schema = GenerateRequest::json_schema(&Limits { max_steps: 30, ..Limits::default() });
        let option = |name: &str| &schema["properties"][name];
        assert_eq!((&option("steps")["maximum"], &option("steps")["minimum"]), (&json!(30), &json!(1)));
        assert_eq!((&option("prompt")["maxLength"], &option("seeds")["maxItems"]), (&json!(5000), &json!(16)));
        assert_eq!(option("attend_and_excite")["properties"]["max_refinement_steps"]["maximum"], 200);
        // The document of the API has all of it.
        let mut document = serde_json::to_value(GenerateRequest::schema()).unwrap();
        document["$schema"] = schema["$schema"].clone();
        assert_eq!(document, GenerateRequest::json_schema(&Limits::default()));
    }
}
