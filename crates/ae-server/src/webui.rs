//! The part of AUTOMATIC1111's API that its clients need to draw from a prompt.
//!
//! Attend-and-Excite is the script `attend_and_excite`; without it sampling is plain, as scripts are chosen there.

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
use crate::{GenerateRequest, GuidanceOptions, PICTURE_NAMES};

const SCRIPT: &str = "attend_and_excite";

/// Its names of samplers, and ours.
const SAMPLERS: [(&str, &str); 5] =
    [("PLMS", "pndm"), ("DDIM", "ddim"), ("Euler", "euler"), ("Euler a", "euler-a"), ("DPM++ 2M", "dpmpp-2m")];

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
    let seeds = &job.request.seeds;
    let info = json!({ "prompt": job.request.prompt, "negative_prompt": job.request.negative_prompt,
        "seed": seeds.first(), "all_seeds": seeds, "steps": job.request.steps, "cfg_scale": job.request.guidance_scale,
        "width": job.request.width, "height": job.request.height });
    Ok(Json(Txt2ImgAnswer {
        images: pictures.iter().map(|picture| STANDARD.encode(picture)).collect(),
        parameters: serde_json::to_value(&job.request).unwrap_or_default(),
        info: info.to_string(),
    }))
}

impl Txt2Img {
    fn translate(self, app: &App) -> Result<GenerateRequest, ApiError> {
        let refuse = |message: String| Err(ApiError::Invalid(message));
        for (name, is_on) in
            [("enable_hr", self.enable_hr), ("tiling", self.tiling), ("restore_faces", self.restore_faces)]
        {
            if is_on {
                return refuse(format!("{name} is not available here: leave it out"));
            }
        }
        let sampler = self.sampler_name.as_ref().or(self.sampler_index.as_ref());
        let scheduler = sampler.map(|name| translate_sampler(name, &app.engine.samplers())).transpose()?;
        let model = match self.override_settings.get("sd_model_checkpoint").and_then(Value::as_str) {
            Some(name) => {
                let models = app.engine.models();
                let known = models.iter().find(|model| model.id == name || model.title == name);
                match known {
                    Some(model) => Some(model.id.clone()),
                    None => return refuse(format!("there is no model '{name}'; see /sdapi/v1/sd-models")),
                }
            }
            None => None,
        };
        let count = self.batch_size.unwrap_or(1).saturating_mul(self.n_iter.unwrap_or(1));
        if !(1..=app.limits.max_seeds).contains(&count) {
            return refuse(format!("batch_size x n_iter is {count}: expected 1 to {}", app.limits.max_seeds));
        }
        let first = match self.seed.unwrap_or(-1) {
            -1 => random_seed()?,
            seed => match u64::try_from(seed) {
                Ok(seed) => seed,
                Err(_) => return refuse(format!("seed is {seed}: expected -1 for a random one, or 0 and above")),
            },
        };
        let script = self.script()?;
        let method = if script.is_some() { "attend-and-excite" } else { "stable-diffusion" };
        let Script { subjects, token_indices, options } = script.unwrap_or_default();
        Ok(GenerateRequest {
            prompt: self.prompt,
            negative_prompt: self.negative_prompt,
            subjects,
            token_indices,
            seeds: (0..count as u64).map(|index| first.saturating_add(index)).collect(),
            model,
            method: Some(method.to_owned()),
            steps: self.steps,
            guidance_scale: self.cfg_scale,
            height: self.height,
            width: self.width,
            scheduler,
            attend_and_excite: options,
            ..GenerateRequest::default()
        })
    }

    /// The arguments of our script, if it is chosen.
    fn script(&self) -> Result<Option<Script>, ApiError> {
        let mut arguments = None;
        if let Some(name) = self.script_name.as_ref().filter(|name| !name.is_empty()) {
            expect_script(name)?;
            arguments = Some(self.script_args.clone());
        }
        for (name, script) in &self.alwayson_scripts {
            expect_script(name)?;
            arguments = Some(script["args"].as_array().cloned().unwrap_or_default());
        }
        arguments.map_or(Ok(None), |arguments| Script::parse(arguments.into_iter().next()))
    }
}

fn expect_script(name: &str) -> Result<(), ApiError> {
    if name.eq_ignore_ascii_case(SCRIPT) {
        return Ok(());
    }
    Err(ApiError::Invalid(format!("there is no script '{name}'; the only one is '{SCRIPT}'")))
}

fn translate_sampler(name: &str, known: &[String]) -> Result<String, ApiError> {
    let translated = SAMPLERS.iter().find(|(theirs, _)| theirs.eq_ignore_ascii_case(name)).map(|(_, ours)| *ours);
    let name = translated.unwrap_or(name);
    if known.iter().any(|known| known == name) {
        return Ok(name.to_owned());
    }
    let names: Vec<_> = SAMPLERS.iter().map(|(theirs, _)| *theirs).collect();
    Err(ApiError::Invalid(format!("there is no sampler '{name}'; choose one of {}", names.join(", "))))
}

/// The arguments of the script.
#[derive(Debug, Default, PartialEq)]
struct Script {
    subjects: Option<Vec<String>>,
    token_indices: Option<Vec<usize>>,
    options: GuidanceOptions,
}

impl Script {
    /// Reads its one argument: an object, a text with subjects, or nothing; none when it is switched off.
    fn parse(argument: Option<Value>) -> Result<Option<Self>, ApiError> {
        let malformed =
            |error: serde_json::Error| ApiError::Invalid(format!("the argument of '{SCRIPT}' is wrong: {error}"));
        match argument {
            None | Some(Value::Null) => Ok(Some(Self::default())),
            Some(Value::String(words)) => {
                let words = words.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty());
                let words: Vec<_> = words.collect();
                Ok(Some(Self { subjects: (!words.is_empty()).then_some(words), ..Self::default() }))
            }
            Some(Value::Object(mut options)) => {
                let mut take = |name| options.remove(name).unwrap_or_default();
                let enabled: Option<bool> = serde_json::from_value(take("enabled")).map_err(malformed)?;
                let subjects = serde_json::from_value(take("subjects")).map_err(malformed)?;
                let token_indices = serde_json::from_value(take("token_indices")).map_err(malformed)?;
                let options = serde_json::from_value(Value::Object(options)).map_err(malformed)?;
                Ok((enabled != Some(false)).then_some(Self { subjects, token_indices, options }))
            }
            Some(other) => {
                Err(ApiError::Invalid(format!("the argument of '{SCRIPT}' is {other}: expected an object or a text")))
            }
        }
    }
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
    let samplers = SAMPLERS.into_iter();
    Json(samplers.map(|(theirs, ours)| json!({ "name": theirs, "aliases": [ours], "options": {} })).collect())
}

/// The model that is drawn with where a request names none.
#[utoipa::path(get, path = "/sdapi/v1/options", responses((status = OK, body = Object)))]
pub(crate) async fn options(State(app): State<App>) -> Json<Value> {
    Json(json!({ "sd_model_checkpoint": app.engine.models().first().map(|model| model.id.clone()) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(json: Value) -> Result<Option<Script>, String> {
        let request: Txt2Img = serde_json::from_value(json).unwrap();
        request.script().map_err(|error| error.to_string())
    }

    #[test]
    fn the_script_is_chosen_in_either_way() {
        let subjects = Some(vec!["cat".to_owned(), "red car".to_owned()]);
        let expected = Script { subjects, ..Script::default() };
        let object = json!({ "subjects": ["cat", "red car"] });
        for json in [
            json!({ "alwayson_scripts": { "attend_and_excite": { "args": [object] } } }),
            json!({ "script_name": "Attend_And_Excite", "script_args": [object] }),
            json!({ "script_name": "attend_and_excite", "script_args": ["cat, red car"] }),
        ] {
            assert_eq!(script(json), Ok(Some(Script { subjects: expected.subjects.clone(), ..Script::default() })));
        }
        assert_eq!(script(json!({ "prompt": "a cat" })), Ok(None));
        let off = json!({ "alwayson_scripts": { "attend_and_excite": { "args": [{ "enabled": false }] } } });
        assert_eq!(script(off), Ok(None));
        let options = json!({ "script_name": "attend_and_excite", "script_args": [{ "scale_factor": 3.0 }] });
        assert_eq!(script(options).unwrap().unwrap().options.scale_factor, Some(3.0));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let other = script(json!({ "alwayson_scripts": { "controlnet": { "args": [] } } })).unwrap_err();
        assert!(other.starts_with("there is no script 'controlnet'"), "{other}");
        let typo = json!({ "script_name": "attend_and_excite", "script_args": [{ "sigmma": 1 }] });
        assert!(script(typo).unwrap_err().contains("unknown field `sigmma`"));
        assert!(translate_sampler("Heun", &["pndm".to_owned()]).unwrap_err().to_string().contains("'Heun'"));
        assert_eq!(translate_sampler("PLMS", &["pndm".to_owned()]).unwrap(), "pndm");
    }
}
