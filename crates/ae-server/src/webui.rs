//! The part of AUTOMATIC1111's API that its clients need to draw from a prompt.
//!
//! Attend-and-Excite is the script `attend_and_excite`; without it sampling is plain, as scripts are chosen there.

use ae_settings::{Method, SchedulerKind, SigmaSpacing};
use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::app::{App, blocking, random_seed};
use crate::body::JsonBody;
use crate::error::{ApiError, ErrorBody};
use crate::job::JobState;
use crate::{GenerateRequest, PICTURE_NAMES};

const SCRIPT: &str = "attend_and_excite";

/// A request as AUTOMATIC1111's program takes it; what is not listed is ignored, as its clients send much more.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct Txt2Img {
    prompt: String,
    negative_prompt: String,
    /// -1 is a random one.
    seed: Option<i64>,
    steps: Option<usize>,
    cfg_scale: Option<f64>,
    width: Option<usize>,
    height: Option<usize>,
    batch_size: Option<usize>,
    n_iter: Option<usize>,
    sampler_name: Option<String>,
    sampler_index: Option<String>,
    /// How the noise levels are spread: `Automatic`, `Karras`, `Exponential` or `Normal`.
    scheduler: Option<String>,
    enable_hr: bool,
    tiling: bool,
    restore_faces: bool,
    #[schema(value_type = Object)]
    override_settings: Map<String, Value>,
    script_name: Option<String>,
    #[schema(value_type = Vec<Object>)]
    script_args: Vec<Value>,
    /// `{"attend_and_excite": {"args": [{"subjects": ["cat", "frog"]}]}}`; the object also takes `token_indices`,
    /// `enabled` and every option of `attend_and_excite` in `/api/generate`.
    #[schema(value_type = Object)]
    alwayson_scripts: Map<String, Value>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Txt2ImgAnswer {
    /// PNG files in base64.
    images: Vec<String>,
    #[schema(value_type = Object)]
    parameters: Value,
    /// JSON as text.
    info: String,
}

/// Draws pictures and waits for them.
///
/// A client that goes away does not end the job: the pictures are in the gallery.
#[utoipa::path(post, path = "/sdapi/v1/txt2img", request_body = Txt2Img,
    responses((status = OK, body = Txt2ImgAnswer), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn txt2img(
    State(app): State<App>,
    JsonBody(request): JsonBody<Txt2Img>,
) -> Result<Json<Txt2ImgAnswer>, ApiError> {
    let request = request.translate(&app)?;
    let job = app.submit(request).await?;
    let job = app.queue.wait(&job.id).await?;
    if job.state != JobState::Done {
        let reason = job.error.unwrap_or_else(|| "the job was cancelled".to_owned());
        return Err(ApiError::Failed(reason));
    }
    let (ids, gallery) = (job.pictures, app.gallery);
    let read = move || ids.iter().map(|id| gallery.picture(id, PICTURE_NAMES[0])).collect::<Option<Vec<_>>>();
    let pictures =
        blocking(read).await?.ok_or_else(|| ApiError::Failed("the pictures were removed meanwhile".to_owned()))?;
    let (seeds, given) = (&job.request.seeds, &job.request.overrides);
    let info = json!({ "prompt": given.prompt, "negative_prompt": given.negative_prompt, "seed": seeds.first(),
        "all_seeds": seeds, "steps": given.steps, "cfg_scale": given.guidance_scale, "width": given.width,
        "height": given.height });
    Ok(Json(Txt2ImgAnswer {
        images: pictures.iter().map(|picture| STANDARD.encode(picture)).collect(),
        parameters: serde_json::to_value(&job.request).unwrap_or_default(),
        info: info.to_string(),
    }))
}

impl Txt2Img {
    fn translate(self, app: &App) -> Result<GenerateRequest, ApiError> {
        for (name, is_on) in
            [("enable_hr", self.enable_hr), ("tiling", self.tiling), ("restore_faces", self.restore_faces)]
        {
            if is_on {
                return Err(ApiError::of_field(name, format!("{name} is not available here: leave it out")));
            }
        }
        let sampler = self.sampler_name.as_ref().or(self.sampler_index.as_ref());
        let (scheduler, sigmas) = sampler.map(|name| translate_sampler(name)).transpose()?.unzip();
        let sigmas = self.scheduler.as_deref().map(translate_sigmas).transpose()?.flatten().or(sigmas.flatten());
        let model = self.override_settings.get("sd_model_checkpoint").and_then(Value::as_str).map(|name| {
            let known = app.engine.models().into_iter().find(|model| model.id == name || model.title == name);
            let message = || format!("there is no model '{name}'; see /sdapi/v1/sd-models");
            known.map(|model| model.id).ok_or_else(|| ApiError::of_field("override_settings", message()))
        });
        let model = model.transpose()?;
        let count = self.batch_size.unwrap_or(1).saturating_mul(self.n_iter.unwrap_or(1));
        if !(1..=app.limits.max_seeds).contains(&count) {
            let message = format!("batch_size x n_iter is {count}: expected 1 to {}", app.limits.max_seeds);
            return Err(ApiError::of_field("batch_size", message));
        }
        let first = match self.seed.unwrap_or(-1) {
            -1 => random_seed()?,
            seed => u64::try_from(seed).map_err(|_| {
                let message = format!("seed is {seed}: expected -1 for a random one, or 0 and above");
                ApiError::of_field("seed", message)
            })?,
        };
        let script = self.script()?;
        let method = if script.is_some() { Method::AttendAndExcite } else { Method::StableDiffusion };
        let mut request = script.unwrap_or_default();
        let seeds: Vec<_> = (0..count as u64).map(|index| first.saturating_add(index)).collect();
        for (field, value) in [
            ("prompt", json!(self.prompt)),
            ("negative_prompt", json!(self.negative_prompt)),
            ("seeds", json!(seeds)),
            ("model", json!(model)),
            ("method", json!(method)),
            ("steps", json!(self.steps)),
            ("guidance_scale", json!(self.cfg_scale)),
            ("height", json!(self.height)),
            ("width", json!(self.width)),
            ("scheduler", json!(scheduler)),
            ("sigmas", json!(sigmas)),
        ] {
            request.insert(field.to_owned(), value);
        }
        Ok(GenerateRequest::from_json(Value::Object(request))?)
    }

    /// The arguments of our script, if it is chosen.
    fn script(&self) -> Result<Option<Map<String, Value>>, ApiError> {
        let mut arguments = None;
        if let Some(name) = self.script_name.as_ref().filter(|name| !name.is_empty()) {
            expect_script(name)?;
            arguments = Some(self.script_args.clone());
        }
        for (name, script) in &self.alwayson_scripts {
            expect_script(name)?;
            arguments = Some(script["args"].as_array().cloned().unwrap_or_default());
        }
        arguments.map_or(Ok(None), |arguments| read_script(arguments.into_iter().next()))
    }
}

fn expect_script(name: &str) -> Result<(), ApiError> {
    if name.eq_ignore_ascii_case(SCRIPT) {
        return Ok(());
    }
    Err(ApiError::invalid(format!("there is no script '{name}'; the only one is '{SCRIPT}'")))
}

/// A sampler, and the spread of its noise levels where that is in its name, as in `DPM++ 2M Karras`.
fn translate_sampler(name: &str) -> Result<(SchedulerKind, Option<SigmaSpacing>), ApiError> {
    SchedulerKind::read_with_spread(name).map_err(|error| ApiError::of_field("sampler_name", error.to_string()))
}

/// What that program calls a scheduler; none is the model's own.
fn translate_sigmas(name: &str) -> Result<Option<SigmaSpacing>, ApiError> {
    let name = name.to_lowercase();
    if name.is_empty() || name == "automatic" {
        return Ok(None);
    }
    // That program's beta spreads the timesteps, ours the noise levels.
    let known = || SigmaSpacing::ALL.iter().filter(|spacing| **spacing != SigmaSpacing::Beta);
    known().find(|spacing| spacing.name() == name).map(|spacing| Some(*spacing)).ok_or_else(|| {
        let names: Vec<_> = known().map(|spacing| spacing.name()).collect();
        let message = format!("there is no scheduler '{name}'; choose automatic or one of {}", names.join(", "));
        ApiError::of_field("scheduler", message)
    })
}

/// Reads the one argument of the script: an object, a text with subjects, or nothing; none when it is switched off. What it
/// gives are fields of a request, not checked yet.
fn read_script(argument: Option<Value>) -> Result<Option<Map<String, Value>>, ApiError> {
    let wrong = |found: &Value, expected: &str| {
        Err(ApiError::invalid(format!("the argument of '{SCRIPT}' is {found}: expected {expected}")))
    };
    let mut request = Map::new();
    match argument {
        None | Some(Value::Null) => {}
        Some(Value::String(words)) => {
            let words = words.split(',').map(str::trim).filter(|word| !word.is_empty());
            let words: Vec<_> = words.collect();
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
            for field in ["subjects", "token_indices"] {
                request.extend(options.remove_entry(field));
            }
            request.insert(SCRIPT.to_owned(), Value::Object(options));
        }
        Some(other) => return wrong(&other, "an object or a text"),
    }
    Ok(Some(request))
}

/// How far the current job is.
#[utoipa::path(get, path = "/sdapi/v1/progress", responses((status = OK, body = Object)))]
pub(crate) async fn progress(State(app): State<App>) -> Json<Value> {
    let running = app.queue.running();
    let (step, steps) = running.as_ref().map_or((0, 0), |job| (job.step, job.num_steps));
    let (index, of) = running.as_ref().and_then(|job| job.run.as_ref()).map_or((0, 0), |run| (run.index, run.of));
    let within = if steps > 0 { step as f64 / steps as f64 } else { 0.0 };
    let progress = if of > 0 { (index as f64 + within) / of as f64 } else { 0.0 };
    Json(json!({ "progress": progress, "eta_relative": 0.0, "current_image": null, "textinfo": null,
        "state": { "skipped": false, "interrupted": false, "job": running.map(|job| job.id), "job_count": of,
            "job_no": index, "sampling_step": step, "sampling_steps": steps } }))
}

/// Ends the current job.
#[utoipa::path(post, path = "/sdapi/v1/interrupt", responses((status = OK, body = Object)))]
pub(crate) async fn interrupt(State(app): State<App>) -> Json<Value> {
    if let Some(job) = app.queue.running() {
        // It may have ended meanwhile.
        let _ = app.queue.cancel(&job.id);
    }
    Json(json!({}))
}

/// The models that can be chosen.
#[utoipa::path(get, path = "/sdapi/v1/sd-models", responses((status = OK, body = Vec<Object>)))]
pub(crate) async fn sd_models(State(app): State<App>) -> Json<Value> {
    let models = app.engine.models().into_iter();
    let models = models.map(|model| {
        json!({ "title": model.id, "model_name": model.title, "hash": null,
        "sha256": null, "filename": model.id, "config": null })
    });
    Json(models.collect())
}

/// The samplers that can be chosen.
#[utoipa::path(get, path = "/sdapi/v1/samplers", responses((status = OK, body = Vec<Object>)))]
pub(crate) async fn samplers() -> Json<Value> {
    let sampler = |kind: &SchedulerKind| json!({ "name": kind.a1111_name(), "aliases": [kind], "options": {} });
    Json(SchedulerKind::ALL.iter().map(sampler).collect())
}

/// The model that is drawn with where a request names none.
#[utoipa::path(get, path = "/sdapi/v1/options", responses((status = OK, body = Object)))]
pub(crate) async fn options(State(app): State<App>) -> Json<Value> {
    Json(json!({ "sd_model_checkpoint": app.engine.models().first().map(|model| model.id.clone()) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(json: Value) -> Result<Option<Map<String, Value>>, String> {
        let request: Txt2Img = serde_json::from_value(json).unwrap();
        request.script().map_err(|error| error.to_string())
    }

    #[test]
    fn the_script_is_chosen_in_either_way() {
        let object = json!({ "subjects": ["cat", "red car"] });
        for json in [
            json!({ "alwayson_scripts": { "attend_and_excite": { "args": [object] } } }),
            json!({ "script_name": "Attend_And_Excite", "script_args": [object] }),
            json!({ "script_name": "attend_and_excite", "script_args": ["cat, red car"] }),
        ] {
            assert_eq!(script(json).unwrap().unwrap()["subjects"], json!(["cat", "red car"]));
        }
        assert_eq!(script(json!({ "prompt": "a cat" })), Ok(None));
        let off = json!({ "alwayson_scripts": { "attend_and_excite": { "args": [{ "enabled": false }] } } });
        assert_eq!(script(off), Ok(None));
        let options = json!({ "script_name": "attend_and_excite", "script_args": [{ "scale_factor": 3.0 }] });
        assert_eq!(script(options).unwrap().unwrap()["attend_and_excite"], json!({ "scale_factor": 3.0 }));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let other = script(json!({ "alwayson_scripts": { "controlnet": { "args": [] } } })).unwrap_err();
        assert!(other.starts_with("there is no script 'controlnet'"), "{other}");
        let wrong =
            script(json!({ "script_name": "attend_and_excite", "script_args": [{ "enabled": 1 }] })).unwrap_err();
        assert!(wrong.contains("expected true or false"), "{wrong}");
        let sampler = translate_sampler("DPM++ SDE").unwrap_err().to_string();
        assert!(sampler.contains("DPM++ SDE"), "{sampler}");
        assert!(translate_sigmas("Beta").unwrap_err().to_string().contains("'beta'"));
    }

    #[test]
    fn a_sampler_may_bring_the_spread_of_its_noise_levels() {
        assert_eq!(translate_sampler("PLMS").unwrap(), (SchedulerKind::Pndm, None));
        assert_eq!(translate_sampler("dpmpp_2m_sde").unwrap(), (SchedulerKind::DpmSolverMultistepSde, None));
        assert_eq!(translate_sampler("HeunDiscreteScheduler").unwrap(), (SchedulerKind::Heun, None));
        assert!(translate_sampler("DPM++ SDE Karras").unwrap_err().to_string().contains("Brownian tree"));
        let karras = (SchedulerKind::DpmSolverMultistep, Some(SigmaSpacing::Karras));
        assert_eq!(translate_sampler("DPM++ 2M Karras").unwrap(), karras);
        assert_eq!(translate_sigmas("Exponential").unwrap(), Some(SigmaSpacing::Exponential));
        assert_eq!(translate_sigmas("Automatic").unwrap(), None);
    }
}
