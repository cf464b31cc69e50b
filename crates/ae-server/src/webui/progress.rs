//! How far the current job is, and its end.

use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;

/// What is wanted of the progress.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProgressQuery {
    /// True: without the picture as it is now.
    skip_current_image: Option<String>,
}

/// How far the current job is.
#[derive(Serialize, ToSchema)]
#[schema(as = Progress)]
pub(crate) struct HowFar {
    /// From 0 to 1; 0 where nothing is drawn.
    progress: f64,
    /// Seconds to its end, as far as its steps tell.
    eta_relative: f64,
    /// The latest preview, a JPEG file in base64.
    current_image: Option<String>,
    textinfo: Option<String>,
    /// `job`, `job_count`, `job_no`, `sampling_step`, `sampling_steps` and others.
    #[schema(value_type = Object)]
    state: Value,
}

/// How far the current job is.
#[utoipa::path(get, path = "/sdapi/v1/progress", params(ProgressQuery), responses((status = OK, body = HowFar)))]
pub(crate) async fn progress(
    State(app): State<App>,
    Query(ProgressQuery { skip_current_image }): Query<ProgressQuery>,
) -> Json<HowFar> {
    let running = app.queue.running();
    let (step, steps) = running.as_ref().map_or((0, 0), |job| (job.step, job.num_steps));
    let (index, of) = running.as_ref().and_then(|job| job.run.as_ref()).map_or((0, 0), |run| (run.index, run.of));
    let within = if steps > 0 { step as f64 / steps as f64 } else { 0.0 };
    let done = index as f64 + within;
    let progress = if of > 0 { done / of as f64 } else { 0.0 };
    let drawn = running.as_ref().map(|job| app.queue.drawn_steps(&job.id)).unwrap_or_default();
    let left = (of as f64 - done) * steps as f64;
    let eta_relative = drawn.mean_seconds * left;
    // Python's clients write it with a capital.
    let is_skipped = skip_current_image.is_some_and(|text| ["true", "1"].contains(&text.to_lowercase().as_str()));
    let preview = drawn.preview.filter(|_| !is_skipped);
    // As an address in a page it says its type first.
    let current_image = preview.map(|preview| preview.rsplit(',').next().unwrap_or_default().to_owned());
    let job = running.map(|job| job.id).unwrap_or_default();
    let state = json!({ "skipped": false, "interrupted": false, "stopping_generation": false, "job": job, "job_count": of,
        "job_timestamp": "0", "job_no": index, "sampling_step": step, "sampling_steps": steps });
    Json(HowFar { progress, eta_relative, current_image, textinfo: None, state })
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

/// Ends the current picture; the job goes on with the next.
#[utoipa::path(post, path = "/sdapi/v1/skip", responses((status = OK, body = Option<Object>)))]
pub(crate) async fn skip(State(app): State<App>) -> Json<Value> {
    app.queue.skip();
    Json(Value::Null)
}
