//! Drawing by requests of that program.

use std::borrow::Cow;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::field::{self, Way};
use super::infotext::texts;
use super::translate::{Asked, named, translate};
use crate::app::{App, blocking};
use crate::body::JsonWithImages;
use crate::error::{ApiError, ErrorBody};
use crate::job::JobState;
use crate::wait::Finished;

/// A request as that program takes it.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Txt2Img(Map<String, Value>);

/// A request with an initial image.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Img2Img(Map<String, Value>);

/// The schemas come from the table of fields.
macro_rules! schema_of_fields {
    ($($request:ident),+) => {
        $(
            impl PartialSchema for $request {
                fn schema() -> RefOr<Schema> {
                    RefOr::T(serde_json::from_value(field::schema(Way::$request)).expect("an OpenAPI schema is a JSON Schema"))
                }
            }

            impl ToSchema for $request {
                fn name() -> Cow<'static, str> {
                    stringify!($request).into()
                }
            }
        )+
    };
}

schema_of_fields!(Txt2Img, Img2Img);

/// The pictures.
#[derive(Serialize, ToSchema)]
pub(crate) struct Drawing {
    /// PNG files in base64.
    images: Vec<String>,
    /// The request as `/api/generate` takes it.
    #[schema(value_type = Object)]
    parameters: Value,
    /// JSON as text: seeds, settings, the parameters of every picture (`infotexts`), and in `notes` what had no effect.
    info: String,
}

/// Draws pictures and waits for them.
///
/// A client that goes away does not end the job: the pictures are in the gallery.
#[utoipa::path(post, path = "/sdapi/v1/txt2img", request_body = Txt2Img,
    responses((status = OK, body = Drawing), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn txt2img(
    State(app): State<App>,
    JsonWithImages(Txt2Img(body)): JsonWithImages<Txt2Img>,
) -> Result<Json<Drawing>, ApiError> {
    draw(app, Way::Txt2Img, body).await.map(Json)
}

/// Draws pictures from a picture, as far as a mask says, and waits for them.
#[utoipa::path(post, path = "/sdapi/v1/img2img", request_body = Img2Img,
    responses((status = OK, body = Drawing), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn img2img(
    State(app): State<App>,
    JsonWithImages(Img2Img(body)): JsonWithImages<Img2Img>,
) -> Result<Json<Drawing>, ApiError> {
    draw(app, Way::Img2Img, body).await.map(Json)
}

async fn draw(app: App, way: Way, body: Map<String, Value>) -> Result<Drawing, ApiError> {
    let own = app.clone();
    let asked = blocking(move || translate(&own, way, body)).await??;
    let Asked { request, sends_images, mut notes, keeps } = asked;
    let job = app.submit(request).await.map_err(named)?;
    app.webui.set(keeps);
    let finished = app.finish(&job.id).await?;
    notes.extend(finished.job.notes.iter().cloned());
    if finished.job.state == JobState::Cancelled {
        notes.push("the job was cancelled; these pictures were finished".to_owned());
    }
    let info = info(&finished, &notes);
    let parameters = serde_json::to_value(&finished.job.request).unwrap_or_default();
    let images = if sends_images { finished.base64() } else { Vec::new() };
    Ok(Drawing { images, parameters, info: info.to_string() })
}

/// What that program says of pictures (`Processed.js` in `modules/processing.py`), from the settings of the first.
fn info(finished: &Finished, notes: &[String]) -> Value {
    let Finished { job, pictures } = finished;
    let texts: Vec<_> = pictures.iter().map(|picture| texts(picture).unwrap_or_default()).collect();
    let settings =
        texts.first().and_then(|texts| serde_json::from_str(texts.get("settings")?).ok()).unwrap_or(Value::Null);
    let given = job.request.overrides.to_json();
    let of = |name: &str| settings.get(name).or_else(|| given.get(name)).cloned().unwrap_or_default();
    let (count, seeds) = (pictures.len(), finished.seeds());
    let repeated = |value: Value| vec![value; count];
    let infotexts: Vec<_> = texts.iter().map(|texts| texts.get("parameters").cloned().unwrap_or_default()).collect();
    let sampler = serde_json::from_value::<ae_settings::SchedulerKind>(of("scheduler")).ok();
    json!({
        "prompt": of("prompt"), "all_prompts": repeated(of("prompt")),
        "negative_prompt": of("negative_prompt"), "all_negative_prompts": repeated(of("negative_prompt")),
        "seed": seeds.first(), "all_seeds": seeds, "subseed": -1, "all_subseeds": repeated(json!(-1)),
        "subseed_strength": 0, "width": of("width"), "height": of("height"),
        "sampler_name": sampler.map(ae_settings::SchedulerKind::a1111_name), "cfg_scale": of("guidance_scale"),
        "steps": of("steps"), "batch_size": count, "restore_faces": false, "face_restoration_model": null,
        "sd_model_name": of("model"), "sd_model_hash": null, "sd_vae_name": null, "sd_vae_hash": null,
        "seed_resize_from_w": -1, "seed_resize_from_h": -1, "denoising_strength": of("strength"),
        "extra_generation_params": {}, "index_of_first_image": 0, "infotexts": infotexts, "styles": [],
        "job_timestamp": job.id, "clip_skip": of("clip_skip").as_i64().map(|skipped| skipped + 1),
        "is_using_inpainting_conditioning": false, "version": concat!("attend-and-excite-rs ", env!("CARGO_PKG_VERSION")),
        "notes": notes,
    })
}
