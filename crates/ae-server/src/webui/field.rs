//! The fields of a request, and what becomes of each.

use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::number::whole;

/// The type of a field. As in that program a null is as absent, and a number may be a whole float or a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Whole,
    Number,
    Switch,
    List,
    Object,
    /// Anything: its value is looked at only where it asks for something.
    Any,
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// It is an option of ours by this name.
    Option(&'static str),
    /// It is read together with others; see [`translate`](super::translate).
    Read,
    /// It changes no picture here.
    Harmless,
    /// It asks for something that is not there, for this reason, unless its value is this one.
    Unless(Plain, &'static str),
}

/// The values of a field that ask for nothing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Plain {
    /// False, zero, an empty text, list or object, or the text `None`.
    Off,
    /// This number.
    One,
    /// Zero and below.
    UpToZero,
}

/// A field of that program's requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) act: Act,
}

const fn field(name: &'static str, kind: Kind, act: Act) -> Field {
    Field { name, kind, act }
}

use Act::{Harmless, Read, Unless};
use Kind::{Any, List, Number, Object, Switch, Text, Whole};
use Plain::{Off, One, UpToZero};

const SECOND_SEED: &str = "the noise is made of one seed";
const OTHER_SIZE: &str = "the noise is made for the size of the picture";
const SECOND_PASS: &str = "there is no second pass at a higher resolution";
const NOISE: &str = "the samplers draw no more noise than they are known for";

/// Fields of both kinds of requests.
const COMMON: &[Field] = &[
    field("prompt", Text, Act::Option("prompt")),
    field("negative_prompt", Text, Act::Option("negative_prompt")),
    field("steps", Whole, Act::Option("steps")),
    field("cfg_scale", Number, Act::Option("guidance_scale")),
    field("width", Whole, Act::Option("width")),
    field("height", Whole, Act::Option("height")),
    field("seed", Whole, Read),
    field("batch_size", Whole, Read),
    field("n_iter", Whole, Read),
    field("sampler_name", Text, Read),
    field("sampler_index", Text, Read),
    field("scheduler", Text, Read),
    field("eta", Number, Read),
    field("override_settings", Object, Read),
    field("override_settings_restore_afterwards", Switch, Read),
    field("script_name", Text, Read),
    field("script_args", Any, Read),
    field("alwayson_scripts", Object, Read),
    field("send_images", Switch, Read),
    field("infotext", Text, Read),
    field("styles", Any, Unless(Off, "there are no styles: write their words into the prompt")),
    field("restore_faces", Any, Unless(Off, "faces are not drawn anew")),
    field("tiling", Any, Unless(Off, "pictures do not continue at their edges")),
    field("subseed", Any, Harmless),
    field("subseed_strength", Number, Unless(Off, SECOND_SEED)),
    field("seed_resize_from_h", Number, Unless(UpToZero, OTHER_SIZE)),
    field("seed_resize_from_w", Number, Unless(UpToZero, OTHER_SIZE)),
    field("s_churn", Number, Unless(Off, NOISE)),
    field("s_noise", Number, Unless(One, NOISE)),
    // They say where the churn acts.
    field("s_tmax", Any, Harmless),
    field("s_tmin", Any, Harmless),
    field("s_min_uncond", Number, Unless(Off, "the negative prompt is read at every step")),
    field("refiner_checkpoint", Text, Unless(Off, "one model draws all steps")),
    field("refiner_switch_at", Any, Harmless),
    field("disable_extra_networks", Any, Unless(Off, "the LoRAs of a prompt are not left out: take them out of it")),
    field("firstpass_image", Any, Unless(Off, SECOND_PASS)),
    // The gallery keeps every picture.
    field("save_images", Any, Harmless),
    field("do_not_save_samples", Any, Harmless),
    field("do_not_save_grid", Any, Harmless),
    field("force_task_id", Any, Harmless),
    field("comments", Any, Harmless),
];

const TXT2IMG: &[Field] = &[
    field("enable_hr", Any, Unless(Off, SECOND_PASS)),
    field("firstphase_width", Number, Unless(Off, SECOND_PASS)),
    field("firstphase_height", Number, Unless(Off, SECOND_PASS)),
    // They say how the second pass is drawn.
    field("denoising_strength", Any, Harmless),
    field("hr_scale", Any, Harmless),
    field("hr_upscaler", Any, Harmless),
    field("hr_second_pass_steps", Any, Harmless),
    field("hr_resize_x", Any, Harmless),
    field("hr_resize_y", Any, Harmless),
    field("hr_checkpoint_name", Any, Harmless),
    field("hr_sampler_name", Any, Harmless),
    field("hr_scheduler", Any, Harmless),
    field("hr_prompt", Any, Harmless),
    field("hr_negative_prompt", Any, Harmless),
];

const IMG2IMG: &[Field] = &[
    field("init_images", List, Read),
    field("resize_mode", Whole, Read),
    field("denoising_strength", Number, Read),
    field("mask", Text, Read),
    field("mask_blur", Number, Read),
    field("mask_blur_x", Number, Read),
    field("mask_blur_y", Number, Read),
    field("inpainting_fill", Whole, Read),
    field("inpaint_full_res", Switch, Read),
    field("inpaint_full_res_padding", Whole, Read),
    field("inpainting_mask_invert", Switch, Read),
    // Of models that are told what to change, which are not loaded here.
    field("image_cfg_scale", Any, Harmless),
    field("initial_noise_multiplier", Number, Unless(One, "the noise has the strength that the sampler gives it")),
    field("latent_mask", Any, Unless(Off, "there is one mask for pixels and latents")),
    field("include_init_images", Any, Harmless),
];

/// Which request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Txt2Img,
    Img2Img,
}

impl Way {
    /// All its fields.
    pub(super) fn fields(self) -> impl Iterator<Item = &'static Field> {
        COMMON.iter().chain(if self == Self::Txt2Img { TXT2IMG } else { IMG2IMG })
    }
}

/// The values of a request that are there, each of its type.
#[derive(Debug)]
pub(super) struct Values {
    values: Map<String, Value>,
    /// Fields of no request of that program.
    pub(super) unknown: Vec<String>,
}

impl Values {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// Names the field whose value is of the wrong type, or asks for what is not there.
    pub(super) fn read(body: Map<String, Value>, way: Way) -> Result<Self, ApiError> {
        let mut read = Self { values: Map::new(), unknown: Vec::new() };
        for (name, value) in body.into_iter().filter(|(_, value)| !value.is_null()) {
            let Some(field) = way.fields().find(|field| field.name == name) else {
                read.unknown.push(name);
                continue;
            };
            match field.act {
                Harmless => {}
                Unless(plain, reason) => {
                    if !plain.is(&value) {
                        let message = format!("{name} is {}: {reason}", shown(&value));
                        return Err(ApiError::of_field(&name, message));
                    }
                }
                Act::Option(_) | Read => {
                    let value = field.kind.read(&value).map_err(|expected| wrong(&name, &value, expected))?;
                    read.values.insert(name, value);
                }
            }
        }
        Ok(read)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.get(name).and_then(Value::as_f64)
    }

    pub(super) fn whole(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(Value::as_i64)
    }

    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        self.get(name).and_then(Value::as_bool)
    }

    pub(super) fn object(&self, name: &str) -> Map<String, Value> {
        self.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
    }
}

/// A value that is not as expected.
pub(super) fn wrong(name: &str, value: &Value, expected: &str) -> ApiError {
    ApiError::of_field(name, format!("{name} is {}: expected {expected}", shown(value)))
}

/// The beginning of a value.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 60 { format!("{}…", text.chars().take(60).collect::<String>()) } else { text }
}

impl Kind {
    /// A value of this type, or what was expected.
    pub(super) fn read(self, value: &Value) -> Result<Value, &'static str> {
        let number = || value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        let (read, expected) = match self {
            Text => (value.as_str().map(Value::from), "a text"),
            Whole => {
                let as_text = || number().and_then(|number| whole(&json!(number)));
                (whole(value).or_else(as_text).map(Value::from), "a whole number")
            }
            Number => (number().map(Value::from), "a number"),
            Switch => {
                let switch = match value {
                    Value::Bool(is_on) => Some(*is_on),
                    Value::String(text) => text.parse().ok(),
                    other => [0.0, 1.0].iter().position(|number| other.as_f64() == Some(*number)).map(|on| on == 1),
                };
                (switch.map(Value::from), "true or false")
            }
            List => (value.is_array().then(|| value.clone()), "a list"),
            Object => (value.is_object().then(|| value.clone()), "an object"),
            Any => (Some(value.clone()), "anything"),
        };
        read.ok_or(expected)
    }

    fn schema(self) -> Value {
        match self {
            Text => json!({ "type": "string" }),
            Whole => json!({ "type": "integer" }),
            Number => json!({ "type": "number" }),
            Switch => json!({ "type": "boolean" }),
            List => json!({ "type": "array", "items": Any.schema() }),
            Object => json!({ "type": "object" }),
            Any => json!({ "type": ["null", "boolean", "number", "string", "array", "object"] }),
        }
    }
}

impl Plain {
    /// Whether a value asks for nothing.
    pub(super) fn is(self, value: &Value) -> bool {
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        match self {
            Off => match value {
                Value::Null | Value::Bool(false) => true,
                Value::String(text) => text.is_empty() || text == "None" || number == Some(0.0),
                Value::Array(items) => items.is_empty(),
                Value::Object(items) => items.is_empty(),
                _ => number == Some(0.0),
            },
            One => number == Some(1.0),
            UpToZero => number.is_some_and(|number| number <= 0.0),
        }
    }
}

/// The JSON Schema of a request.
pub(super) fn schema(way: Way) -> Value {
    let property = |field: &Field| {
        let mut schema = field.kind.schema();
        let says = match field.act {
            Act::Option(option) => format!("The option `{option}` of `/api/generate`."),
            Read => help(field.name).to_owned(),
            Harmless => "Changes no picture here.".to_owned(),
            Unless(Off, reason) => format!("Only what is off: {reason}."),
            Unless(One, reason) => format!("Only 1: {reason}."),
            Unless(UpToZero, reason) => format!("Only 0 and below: {reason}."),
        };
        schema["description"] = Value::from(says);
        (field.name.to_owned(), schema)
    };
    let properties: Map<_, _> = way.fields().map(property).collect();
    json!({ "type": "object", "properties": properties, "description":
        "A request as AUTOMATIC1111's program takes it. Null is as absent; a field that this does not list is ignored, and `info` says so." })
}

/// What is said of fields that are read together.
fn help(name: &str) -> &'static str {
    match name {
        "seed" => "Of the first picture; the others follow. -1 is a random one.",
        "batch_size" | "n_iter" => "batch_size x n_iter pictures are drawn.",
        "sampler_name" | "sampler_index" => "As `/sdapi/v1/samplers` names it. Absent: the model's own.",
        "scheduler" => "How the noise levels are spread, as `/sdapi/v1/schedulers` names it.",
        "eta" => "How much noise DDIM draws in its steps; 1 with samplers that draw noise anyway.",
        "override_settings" => "Options for this request; see `/sdapi/v1/options`.",
        "override_settings_restore_afterwards" => "False: `override_settings` hold for later requests too.",
        "script_name" | "script_args" => "The script by its name, and its one argument.",
        "alwayson_scripts" => {
            "`{\"attend_and_excite\": {\"args\": [{\"subjects\": [\"cat\", \"frog\"]}]}}`; see `/sdapi/v1/script-info`."
        }
        "send_images" => "False: the answer has no pictures; the gallery has.",
        "infotext" => "The parameters of a picture, for what no other field says.",
        "init_images" => "One picture in base64: PNG, JPEG or WebP.",
        "resize_mode" => "0: the picture is resized to the size, whatever its shape.",
        "denoising_strength" => "How much of the picture is drawn anew; absent: 0.75.",
        "mask" => "A picture in base64, white where it is drawn anew.",
        "mask_blur" | "mask_blur_x" | "mask_blur_y" => {
            "The option `mask_blur`, the same in both directions; absent: 4."
        }
        "inpainting_fill" => "1: the masked part starts from the picture. Absent is 1 here.",
        "inpaint_full_res" => "Draw the part around the mask alone, at the full size; absent: true.",
        "inpaint_full_res_padding" => "The option `mask_padding`; absent: 0.",
        "inpainting_mask_invert" => "1: what is black in the mask is drawn anew.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_be_written_in_several_ways() {
        for (kind, value, read) in [
            (Whole, json!(12.0), Ok(json!(12))),
            (Whole, json!("12"), Ok(json!(12))),
            (Whole, json!(i64::MAX), Ok(json!(i64::MAX))),
            (Whole, json!(2.5), Err("a whole number")),
            (Whole, json!(1e300), Err("a whole number")),
            (Number, json!(7), Ok(json!(7.0))),
            (Number, json!("7.5"), Ok(json!(7.5))),
            (Switch, json!(1), Ok(json!(true))),
            (Switch, json!(2), Err("true or false")),
            (Text, json!(1), Err("a text")),
        ] {
            assert_eq!(kind.read(&value), read, "{kind:?} {value}");
        }
    }

    #[test]
    fn every_field_says_what_it_does() {
        for way in [Way::Txt2Img, Way::Img2Img] {
            for (name, property) in schema(way)["properties"].as_object().unwrap() {
                assert!(property["description"].as_str().unwrap().len() > 5, "{name}");
            }
        }
    }
}
