//! The options of that program: those that hold for every request, until a client sets others.

use std::sync::{Mutex, PoisonError};

use ae_settings::{NoiseKind, weights_stem};
use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::field::{Kind, shown, wrong};
use crate::app::{App, blocking};
use crate::body::JsonBody;
use crate::error::{ApiError, ErrorBody};

/// What clients have set, by that program's names.
#[derive(Debug, Default)]
pub(crate) struct Chosen(Mutex<Map<String, Value>>);

impl Chosen {
    pub(super) fn all(&self) -> Map<String, Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, options: Map<String, Value>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(options);
    }
}

const MODEL: &str = "sd_model_checkpoint";
const CLIP_SKIP: &str = "CLIP_stop_at_last_layers";
const VAE: &str = "sd_vae";
/// What `sd_vae` is where the model's own is meant.
const NO_VAE: [&str; 3] = ["Automatic", "None", ""];
const RNG: &str = "randn_source";
const PADDED: &str = "pad_cond_uncond";

/// Options that can be set, and what they are by themselves.
fn settable(app: &App) -> Map<String, Value> {
    let model = app.engine.models().into_iter().next().map(|model| model.id);
    let all = json!({ MODEL: model, VAE: "Automatic", CLIP_SKIP: 1, RNG: "CPU", PADDED: false });
    all.as_object().cloned().unwrap_or_default()
}

/// Options that change pictures, at the values that hold here always.
fn fixed() -> Map<String, Value> {
    let groups = [
        json!({
            "sd_checkpoint_hash": null, "sd_hypernetwork": "None", "sd_unet": "Automatic", "sd_vae_encode_method": "Full",
            "sd_vae_decode_method": "Full", "fp8_storage": "Disable", "cache_fp16_weight": false, "upcast_attn": false,
        }),
        json!({
            "sd_noise_schedule": "Default", "eta_ddim": 0.0, "eta_ancestral": 1.0, "eta_noise_seed_delta": 0, "s_churn": 0.0,
            "s_tmin": 0.0, "s_tmax": 0.0, "s_noise": 1.0, "s_min_uncond": 0.0, "sigma_min": 0.0, "sigma_max": 0.0, "rho": 0.0,
            "skip_early_cond": 0.0, "always_discard_next_to_last_sigma": false, "use_downcasted_alpha_bar": false,
        }),
        json!({
            "emphasis": "Original", "enable_emphasis": true, "enable_batch_seeds": true, "comma_padding_backtrack": 20,
            "use_old_emphasis_implementation": false, "use_old_karras_scheduler_sigmas": false,
            "use_old_hires_fix_width_height": false, "use_old_scheduling": false,
        }),
        json!({
            "token_merging_ratio": 0.0, "token_merging_ratio_img2img": 0.0, "token_merging_ratio_hr": 0.0,
            "initial_noise_multiplier": 1.0, "img2img_extra_noise": 0.0, "inpainting_mask_weight": 1.0,
            "img2img_color_correction": false, "img2img_fix_steps": false, "img2img_background_color": "#ffffff",
        }),
        json!({
            "face_restoration": false, "tiling": false, "samples_format": "png", "return_grid": false, "return_mask": false,
            "return_mask_composite": false,
        }),
    ];
    groups.into_iter().filter_map(|group| group.as_object().cloned()).flatten().collect()
}

/// The beginnings of options that change no picture: how that program's page looks, what it keeps on its disk.
const HARMLESS: [&str; 15] = [
    "api_",
    "directories_",
    "font",
    "gallery_",
    "grid_",
    "hires_fix_show_",
    "js_",
    "jpeg_",
    "keyedit_",
    "live_",
    "outdir_",
    "save_",
    "show_",
    "ui_",
    "webp_",
];

/// Checks an option: it can be set, or has the value that it has here anyway, or changes nothing.
///
/// # Errors
///
/// Names the option, with what stands before its name in the request.
pub(super) fn check(app: &App, before: &str, name: &str, value: &Value) -> Result<Option<Value>, ApiError> {
    let field = format!("{before}{name}");
    if value.is_null() {
        return Ok(None);
    }
    if settable(app).contains_key(name) {
        return read(app, &field, name, value).map(Some);
    }
    let is_same = |own: &Value| own == value || own.as_f64().is_some_and(|own| value.as_f64() == Some(own));
    match fixed().get(name) {
        Some(own) if is_same(own) => Ok(None),
        Some(own) => {
            Err(ApiError::of_field(&field, format!("{field} is {}: it is {own} here and cannot be set", shown(value))))
        }
        None if HARMLESS.iter().any(|begin| name.starts_with(begin)) => Ok(None),
        None => {
            let message = format!("{field} is not known: GET /sdapi/v1/options has the options that there are");
            Err(ApiError::of_field(&field, message))
        }
    }
}

/// The value of an option that can be set.
fn read(app: &App, field: &str, name: &str, value: &Value) -> Result<Value, ApiError> {
    let kind = match name {
        CLIP_SKIP => Kind::Whole,
        PADDED => Kind::Switch,
        _ => Kind::Text,
    };
    let read = kind.read(value).map_err(|expected| wrong(field, value, expected))?;
    let text = read.as_str().unwrap_or_default();
    match name {
        MODEL => {
            let model = model(app, text).ok_or_else(|| {
                let shown: String = text.chars().take(60).collect();
                ApiError::of_field(field, format!("there is no model '{shown}'; see /sdapi/v1/sd-models"))
            })?;
            Ok(Value::from(model))
        }
        VAE if text == "None" && app.engine.adapters()?.vaes.iter().any(|vae| vae.usual) => {
            let expected = "\"Automatic\" or one of /sdapi/v1/sd-vae: this studio was started with a VAE, which takes the place of the model's own";
            Err(wrong(field, value, expected))
        }
        VAE if !NO_VAE.contains(&text) => {
            if app
                .engine
                .adapters()?
                .vaes
                .iter()
                .any(|vae| [vae.name.as_str(), weights_stem(&vae.name)].contains(&text))
            {
                return Ok(read);
            }
            let shown: String = text.chars().take(60).collect();
            Err(ApiError::of_field(field, format!("there is no VAE '{shown}'; see /sdapi/v1/sd-vae")))
        }
        CLIP_SKIP if !(1..=100).contains(&read.as_i64().unwrap_or_default()) => {
            Err(wrong(field, value, "a number from 1, the last layer, to 100"))
        }
        RNG if !["CPU", "GPU", "NV"].contains(&text) => Err(wrong(field, value, "CPU, GPU or NV")),
        _ => Ok(read),
    }
}

/// The id of a model by its id or title; as that program has it, in any case and without the ending of a file too.
pub(super) fn model(app: &App, name: &str) -> Option<String> {
    let models = app.engine.models();
    let plain = |name: &str| {
        let name = name.to_lowercase();
        let ending = [".safetensors", ".ckpt"].iter().find_map(|ending| name.strip_suffix(ending));
        ending.unwrap_or(&name).to_owned()
    };
    let exact = models.iter().find(|model| model.id == name || model.title == name);
    let like = || models.iter().find(|model| [&model.id, &model.title].iter().any(|own| plain(own) == plain(name)));
    exact.or_else(like).map(|model| model.id.clone())
}

/// Puts options into a request, by our names.
pub(super) fn apply(options: &Map<String, Value>, request: &mut Map<String, Value>) {
    for (name, value) in options {
        let text = value.as_str().unwrap_or_default();
        let (option, value) = match name.as_str() {
            MODEL => ("model", value.clone()),
            // It counts the layer that is read.
            CLIP_SKIP => ("clip_skip", json!(value.as_i64().map(|layer| layer - 1))),
            RNG => ("rng", json!(if text == "CPU" { NoiseKind::TorchCpu } else { NoiseKind::TorchCuda })),
            PADDED if *value == json!(true) => ("long_prompts", json!("padded")),
            VAE if !NO_VAE.contains(&text) => ("vae", json!({ "name": text })),
            _ => continue,
        };
        request.insert(option.to_owned(), value);
    }
}

/// The options that hold, those first that can be set.
#[utoipa::path(get, path = "/sdapi/v1/options", responses((status = OK, body = Object)))]
pub(crate) async fn options(State(app): State<App>) -> Result<Json<Map<String, Value>>, ApiError> {
    let all = move || {
        let mut all = settable(&app);
        all.extend(app.webui.all());
        all.extend(fixed());
        all
    };
    blocking(all).await.map(Json)
}

/// Sets options for the later requests of all clients of this API: the model (`sd_model_checkpoint`), `sd_vae`,
/// `CLIP_stop_at_last_layers`, `randn_source` and `pad_cond_uncond`.
///
/// What is sent as it is changes nothing; what would change a picture and cannot be set is refused.
#[utoipa::path(post, path = "/sdapi/v1/options", request_body = Object,
    responses((status = OK, body = Option<Object>), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn set_options(
    State(app): State<App>,
    JsonBody(options): JsonBody<Map<String, Value>>,
) -> Result<Json<Value>, ApiError> {
    let set = move || {
        let mut read = Map::new();
        for (name, value) in options {
            if let Some(value) = check(&app, "", &name, &value)? {
                read.insert(name, value);
            }
        }
        app.webui.set(read);
        Ok::<_, ApiError>(())
    };
    blocking(set).await??;
    Ok(Json(Value::Null))
}
