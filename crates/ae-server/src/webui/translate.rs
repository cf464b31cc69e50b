//! A request of that program as one of ours.

use ae_settings::{Method, Overrides, PromptSyntax, a1111};
use serde_json::{Map, Value, json};

use super::field::{Act, Values, Way, wrong};
use super::{image, options, sampler, script};
use crate::GenerateRequest;
use crate::app::{App, random_seed};
use crate::error::ApiError;

/// What a request asks for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: GenerateRequest,
    pub(super) sends_images: bool,
    /// What was read and has no effect.
    pub(super) notes: Vec<String>,
    /// Options that hold afterwards too.
    pub(super) keeps: Map<String, Value>,
}

/// Reads a request.
///
/// # Errors
///
/// Names the field that cannot be done.
pub(super) fn translate(app: &App, way: Way, body: Map<String, Value>) -> Result<Asked, ApiError> {
    let values = Values::read(body, way)?;
    let mut notes: Vec<_> =
        values.unknown.iter().map(|name| format!("{} is not known here and was ignored", short(name))).collect();

    let mut holding = app.webui.all();
    let mut overriding = Map::new();
    for (name, value) in values.object("override_settings") {
        overriding.extend(options::check(app, "override_settings.", &name, &value)?.map(|value| (name, value)));
    }
    holding.extend(overriding.clone());
    let mut request = Map::new();
    options::apply(&holding, &mut request);

    let script = script::read(&values)?;
    // A text with parameters says both, unless a script is chosen.
    let has_text = values.text("infotext").is_some();
    if !has_text {
        request.insert("prompt_syntax".to_owned(), json!(PromptSyntax::A1111));
    }
    if script.is_some() || !has_text {
        let method = if script.is_some() { Method::AttendAndExcite } else { Method::StableDiffusion };
        request.insert("method".to_owned(), json!(method));
    }
    request.extend(script.unwrap_or_default());
    for field in way.fields() {
        if let (Act::Option(option), Some(value)) = (field.act, values.get(field.name)) {
            request.insert(option.to_owned(), value.clone());
        }
    }
    sampler::apply(&values, &mut request, &mut notes)?;
    if way == Way::Img2Img {
        initial_image(app, &values, &mut request, &mut notes)?;
    }
    let request = with_infotext(&values, request)?;
    let seeds = seeds(app, &values, &request)?;
    let mut request = request;
    request.remove("seed");
    request.insert("seeds".to_owned(), json!(seeds));
    request.entry("prompt").or_insert(json!(""));
    let request = GenerateRequest::from_json(Value::Object(request)).map_err(|error| named(error.into()))?;
    let is_restored = values.switch("override_settings_restore_afterwards").unwrap_or(true);
    let keeps = if is_restored { Map::new() } else { overriding };
    Ok(Asked { request, sends_images: values.switch("send_images").unwrap_or(true), notes, keeps })
}

/// An error of ours by the name that a field has in that program.
pub(super) fn named(mut error: ApiError) -> ApiError {
    let (ApiError::Invalid { field: Some(field), message } | ApiError::Limit { field: Some(field), message, .. }) =
        &mut error
    else {
        return error;
    };
    let theirs = match field.as_str() {
        "guidance_scale" => "cfg_scale",
        "scheduler" => "sampler_name",
        "sigmas" => "scheduler",
        "strength" => "denoising_strength",
        "init_image" => "init_images",
        "mask_padding" => "inpaint_full_res_padding",
        "seeds" => "batch_size",
        "model" => "sd_model_checkpoint",
        "vae" => "sd_vae",
        "loras" | "embeddings" => "prompt",
        "clip_skip" => "CLIP_stop_at_last_layers",
        _ => return error,
    };
    if let Some(rest) = message.strip_prefix(field.as_str()).filter(|rest| rest.starts_with([' ', ':'])) {
        *message = format!("{theirs}{rest}");
    }
    theirs.clone_into(field);
    error
}

/// One seed a picture.
fn seeds(app: &App, values: &Values, request: &Map<String, Value>) -> Result<Vec<u64>, ApiError> {
    let number = |name: &str| match values.whole(name) {
        None => Ok(1),
        Some(number) => usize::try_from(number).map_err(|_| wrong(name, &json!(number), "1 and above")),
    };
    let count = number("batch_size")?.saturating_mul(number("n_iter")?);
    if !(1..=app.limits.max_seeds).contains(&count) {
        let message = format!("batch_size x n_iter is {count}: expected 1 to {}", app.limits.max_seeds);
        return Err(ApiError::of_field("batch_size", message));
    }
    let given = values.whole("seed").or_else(|| request.get("seed").and_then(Value::as_i64));
    let first = match given.unwrap_or(-1) {
        -1 => random_seed()?,
        seed => u64::try_from(seed).map_err(|_| wrong("seed", &json!(seed), "-1 for a random one, or 0 and above"))?,
    };
    Ok((0..count as u64).map(|index| first.saturating_add(index)).collect())
}

/// The parameters of a picture under what the request says itself.
fn with_infotext(values: &Values, request: Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    let Some(text) = values.text("infotext") else { return Ok(request) };
    let refuse = |message: String| ApiError::of_field("infotext", format!("infotext: {message}"));
    let given = Overrides::from_json(&Value::Object(request.clone())).map_err(|error| named(error.into()))?;
    let mut read = a1111::read(text);
    // They say what was there when the picture was drawn, not what there is here.
    (read.overrides.model, read.overrides.model_files) = (None, None);
    let read = read.settle(&given, &["Model"]).map_err(|error| refuse(error.to_string()))?;
    let mut all = read.to_json();
    all.extend(request);
    Ok(all)
}

/// The initial image, and the mask with what belongs to it.
fn initial_image(
    app: &App,
    values: &Values,
    request: &mut Map<String, Value>,
    notes: &mut Vec<String>,
) -> Result<(), ApiError> {
    let images = values.get("init_images").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let [Value::String(text)] = images else {
        let message = format!("init_images has {} pictures: expected one, in base64", images.len());
        return Err(ApiError::of_field("init_images", message));
    };
    let (file, image) = image::keep(app, "init_images", text)?;
    request.insert("init_image".to_owned(), json!(file));
    request.insert("strength".to_owned(), json!(values.number("denoising_strength").unwrap_or(0.75)));
    let size = |name: &str, own: u32| values.whole(name).unwrap_or(own.into());
    let is_whole =
        [size("width", image.width), size("height", image.height)] == [image.width, image.height].map(i64::from);
    let mode = values.whole("resize_mode").unwrap_or(0);
    if mode != 0 && !is_whole {
        return Err(wrong("resize_mode", &json!(mode), "0: a picture of another shape is neither cut nor filled here"));
    }
    let Some(mask) = values.text("mask") else { return Ok(()) };
    let (file, _) = image::keep(app, "mask", mask)?;
    request.insert("mask".to_owned(), json!(file));
    let blur = |name: &str| values.number(name).or_else(|| values.number("mask_blur")).unwrap_or(4.0);
    let [across, down] = [blur("mask_blur_x"), blur("mask_blur_y")];
    if across.total_cmp(&down).is_ne() {
        let (field, value) =
            if values.get("mask_blur_y").is_some() { ("mask_blur_y", down) } else { ("mask_blur_x", across) };
        return Err(wrong(field, &json!(value), "the same in both directions: the mask is softened evenly"));
    }
    request.insert("mask_blur".to_owned(), json!(across));
    match values.whole("inpainting_fill") {
        Some(1) => {}
        None => notes.push("inpainting_fill is 1 here: the masked part starts from the picture".to_owned()),
        Some(fill) => {
            let expected =
                "1 (original): the masked part starts from the picture, and with a denoising_strength of 1 from noise";
            return Err(wrong("inpainting_fill", &json!(fill), expected));
        }
    }
    if values.switch("inpaint_full_res").unwrap_or(true) {
        let padding = values.whole("inpaint_full_res_padding").unwrap_or(0);
        request.insert("mask_padding".to_owned(), json!(padding));
    }
    request.insert("mask_invert".to_owned(), json!(values.switch("inpainting_mask_invert").unwrap_or(false)));
    Ok(())
}

fn short(name: &str) -> String {
    name.chars().take(60).collect()
}
