//! Attend-and-Excite as a script of that program, and the scripts that are not there.

use ae_settings::{Method, Settings, all_options};
use axum::Json;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::field::{Values, shown};
use crate::error::ApiError;

const SCRIPT: &str = "attend_and_excite";

/// The names of the scripts.
#[derive(Serialize, ToSchema)]
pub(crate) struct Scripts {
    txt2img: Vec<&'static str>,
    img2img: Vec<&'static str>,
}

/// A script, and what it takes.
#[derive(Serialize, ToSchema)]
pub(crate) struct ScriptInfo {
    name: &'static str,
    is_alwayson: bool,
    is_img2img: bool,
    args: Vec<ScriptArg>,
}

/// An argument of a script.
#[derive(Serialize, ToSchema)]
pub(crate) struct ScriptArg {
    label: &'static str,
    /// The default.
    #[schema(value_type = Object)]
    value: Value,
    minimum: Option<f64>,
    maximum: Option<f64>,
    step: Option<f64>,
    choices: Option<Vec<String>>,
    /// The JSON Schema of its values.
    #[schema(value_type = Object)]
    schema: Value,
}

/// The scripts that can be chosen.
#[utoipa::path(get, path = "/sdapi/v1/scripts", responses((status = OK, body = Scripts)))]
pub(crate) async fn scripts() -> Json<Scripts> {
    Json(Scripts { txt2img: vec![SCRIPT], img2img: vec![SCRIPT] })
}

/// What the scripts take.
///
/// `attend_and_excite` takes one argument: an object with `enabled`, `method`, what it reads of the prompt (`subjects`, `token_indices`,
/// `pairs`, `groups`, `boxes`), and the options of Attend-and-Excite and of the methods after it, or a text with subjects, `cat, frog`.
#[utoipa::path(get, path = "/sdapi/v1/script-info", responses((status = OK, body = Vec<ScriptInfo>)))]
pub(crate) async fn script_info() -> Json<Vec<ScriptInfo>> {
    let info = |is_img2img| ScriptInfo { name: SCRIPT, is_alwayson: true, is_img2img, args: vec![argument()] };
    Json(vec![info(false), info(true)])
}

/// The argument, from the table of options.
fn argument() -> ScriptArg {
    let all = ae_settings::json_schema();
    let mut schema = all["properties"][SCRIPT].clone();
    let mut value = Settings::default().to_json().remove(SCRIPT).unwrap_or_default();
    for option in members() {
        let own = &all["properties"][option];
        schema["properties"][option] = own.clone();
        value[option] = own["default"].clone();
    }
    let on = json!({ "type": "boolean", "default": true, "description": "False: plain sampling." });
    (schema["properties"]["enabled"], value["enabled"]) = (on, json!(false));
    let label = "An object with these members, each as wanted, or a text with subjects: \"cat, frog\"";
    ScriptArg { label, value, minimum: None, maximum: None, step: None, choices: None, schema }
}

/// The options that the argument has besides those of Attend-and-Excite: what guidance reads.
fn members() -> impl Iterator<Item = &'static str> {
    const ALWAYS: [&str; 5] = ["method", "subjects", "token_indices", "initial_noise", "noise_passes"];
    let guides = |name: &str| Method::readers(name).is_some_and(|methods| methods.iter().any(|method| method.guides()));
    Settings::OPTIONS.iter().map(|option| option.name).filter(move |name| ALWAYS.contains(name) || guides(name))
}

/// The argument of our script, if it is chosen and on.
///
/// # Errors
///
/// Names a script that is not there and asks for something, and an argument that cannot be read.
pub(super) fn read(values: &Values) -> Result<Option<Map<String, Value>>, ApiError> {
    let chosen = values.text("script_name").map(|name| {
        let script = json!({ "args": values.get("script_args") });
        ("script_name".to_owned(), name.to_owned(), script)
    });
    let always = values.object("alwayson_scripts").into_iter();
    let always = always.map(|(name, script)| (format!("alwayson_scripts.{name}"), name, script));
    let mut read = None;
    for (field, name, script) in chosen.into_iter().chain(always) {
        let args = script.get("args").unwrap_or(&Value::Null);
        if name.eq_ignore_ascii_case(SCRIPT) {
            let first = if let Value::Array(args) = args { args.first() } else { Some(args) };
            read = read_argument(first.cloned())?;
        } else if field == "script_name" || !asks_for_nothing(args) {
            let message = format!("there is no script '{}'; the only one is '{SCRIPT}'", name.escape_debug());
            return Err(ApiError::of_field(&field, message));
        }
    }
    Ok(read)
}

/// Whether the arguments of a script switch it off: none, or a first one or all that do.
fn asks_for_nothing(args: &Value) -> bool {
    let is_off = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Object(options) => {
            let switches = ["enabled", "enable", "is_enabled"].iter().filter_map(|name| options.get(*name));
            options.is_empty() || switches.into_iter().any(|switch| *switch == json!(false))
        }
        _ => false,
    };
    match args {
        Value::Array(args) => args.first().is_none_or(|first| *first == json!(false)) || args.iter().all(is_off),
        other => is_off(other),
    }
}

/// Reads the one argument of the script: an object, a text with subjects, or nothing; none when it is switched off. What it
/// gives are fields of a request, not checked yet.
fn read_argument(argument: Option<Value>) -> Result<Option<Map<String, Value>>, ApiError> {
    let wrong = |found: &Value, expected: &str| {
        Err(ApiError::invalid(format!("the argument of '{SCRIPT}' is {}: expected {expected}", shown(found))))
    };
    let mut request = Map::new();
    match argument {
        None | Some(Value::Null | Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Ok(None),
        Some(Value::String(words)) => {
            let words: Vec<_> = words.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
            if !words.is_empty() {
                request.insert("subjects".to_owned(), json!(words));
            }
        }
        Some(Value::Object(mut options)) => {
            match options.remove("enabled") {
                Some(Value::Bool(false)) => return Ok(None),
                None | Some(Value::Null | Value::Bool(true)) => {}
                Some(other) => return wrong(&json!({ "enabled": other }), "true or false"),
            }
            whole_floats(&mut options);
            for field in members() {
                request.extend(options.remove_entry(field));
            }
            request.insert(SCRIPT.to_owned(), Value::Object(options));
        }
        Some(other) => return wrong(&other, "an object or a text"),
    }
    Ok(Some(request))
}

/// Clients of other languages write whole numbers as floats.
fn whole_floats(options: &mut Map<String, Value>) {
    let is_whole = |name: &str| all_options().any(|(_, o)| o.name == name && o.kind == ae_settings::Kind::Whole);
    for (_, value) in options.iter_mut().filter(|(name, _)| is_whole(name)) {
        if let Ok(read) = super::field::Kind::Whole.read(value) {
            *value = read;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webui::field::Way;

    fn script(body: Value) -> Result<Option<Value>, String> {
        let Value::Object(body) = body else { panic!("{body}") };
        let values = Values::read(body, Way::Txt2Img).map_err(|error| error.to_string())?;
        read(&values).map(|script| script.map(Value::Object)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_script_is_chosen_in_either_way() {
        let object = json!({ "subjects": ["cat", "red car"] });
        for json in [
            json!({ "alwayson_scripts": { "attend_and_excite": { "args": [object] } } }),
            json!({ "alwayson_scripts": { "attend_and_excite": { "args": object } } }),
            json!({ "script_name": "Attend_And_Excite", "script_args": [object] }),
            json!({ "script_name": "attend_and_excite", "script_args": ["cat, red car"] }),
        ] {
            assert_eq!(script(json).unwrap().unwrap()["subjects"], json!(["cat", "red car"]));
        }
        assert_eq!(script(json!({ "prompt": "a cat" })), Ok(None));
        let off = json!({ "alwayson_scripts": { "attend_and_excite": { "args": [{ "enabled": false }] } } });
        assert_eq!(script(off), Ok(None));
        let other = json!([{ "method": "ebama", "pairs": ["red:car"], "top_k": 3.0, "sigma": 1 }]);
        let read = script(json!({ "alwayson_scripts": { "attend_and_excite": { "args": other } } })).unwrap().unwrap();
        let expected =
            json!({ "method": "ebama", "pairs": ["red:car"], "top_k": 3, "attend_and_excite": { "sigma": 1 } });
        assert_eq!(read, expected);
        let bare = json!({ "alwayson_scripts": { "attend_and_excite": {} } });
        assert_eq!(script(bare), Ok(Some(json!({}))));
        let options = json!({ "scale_factor": 3.0, "max_refinement_steps": 5.0 });
        let options = json!({ "script_name": "attend_and_excite", "script_args": [options] });
        let expected = json!({ "scale_factor": 3.0, "max_refinement_steps": 5 });
        assert_eq!(script(options).unwrap().unwrap()["attend_and_excite"], expected);
    }

    #[test]
    fn what_is_switched_off_asks_for_nothing() {
        for args in [
            json!([]),
            json!(null),
            json!([false]),
            json!([false, { "ad_model": "face_yolov8n.pt" }]),
            json!([{ "enabled": false, "module": "canny" }, { "enabled": false }]),
            json!([{ "enable": false }]),
            json!({}),
            json!([null, null]),
        ] {
            let body = json!({ "alwayson_scripts": { "ControlNet": { "args": args }, "Refiner": {} } });
            assert_eq!(script(body), Ok(None), "{args}");
        }
        for args in [json!([true]), json!([{ "module": "canny" }]), json!([{ "enabled": false }, { "enabled": true }])]
        {
            let error = script(json!({ "alwayson_scripts": { "ControlNet": { "args": args } } })).unwrap_err();
            assert!(error.starts_with("there is no script 'ControlNet'"), "{args}: {error}");
        }
        let chosen = script(json!({ "script_name": "X/Y/Z plot", "script_args": [] })).unwrap_err();
        assert!(chosen.starts_with("there is no script 'X/Y/Z plot'"), "{chosen}");
    }

    #[test]
    fn what_is_no_argument_is_named() {
        let wrong = json!({ "script_name": "attend_and_excite", "script_args": [{ "enabled": 1 }] });
        assert!(script(wrong).unwrap_err().contains("expected true or false"));
    }

    /// Whoever sends the value that is documented, with `enabled` on, gets the paper's settings.
    #[test]
    fn the_script_documents_itself() {
        let ScriptArg { value, schema, .. } = argument();
        let members: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
        for name in value.as_object().unwrap().keys() {
            assert!(members.contains(&name), "{name}");
        }
        let mut on = value;
        on["enabled"] = json!(true);
        let read = script(json!({ "alwayson_scripts": { "attend_and_excite": { "args": [on] } } })).unwrap().unwrap();
        assert!(
            crate::GenerateRequest::from_json(
                json!({ "prompt": "a cat", "attend_and_excite": read["attend_and_excite"] })
            )
            .is_ok()
        );
    }
}
