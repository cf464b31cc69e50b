use std::convert::Infallible;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{Stream, unfold};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::GenerateRequest;
use crate::app::{App, blocking};
use crate::body::JsonBody;
use crate::error::{ApiError, ErrorBody};
use crate::job::JobView;
use crate::name::Name;

#[derive(Serialize, ToSchema)]
pub(crate) struct Jobs {
    jobs: Vec<JobView>,
}

/// Puts pictures into the queue.
#[utoipa::path(post, path = "/api/generate", request_body = GenerateRequest,
    responses((status = ACCEPTED, body = JobView), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn generate(
    State(app): State<App>,
    JsonBody(request): JsonBody<Value>,
) -> Result<(StatusCode, Json<JobView>), ApiError> {
    let request = app.read(request)?;
    Ok((StatusCode::ACCEPTED, Json(app.submit(request).await?)))
}

/// The job that is drawn, those that wait, then the latest that have ended.
#[utoipa::path(get, path = "/api/jobs", responses((status = OK, body = Jobs)))]
pub(crate) async fn list(State(app): State<App>) -> Json<Jobs> {
    Json(Jobs { jobs: app.queue.list() })
}

/// Which jobs.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Which {
    /// Those that wait and the one that is drawn: they are cancelled.
    Open,
    /// Those that have ended: they leave the list, and their pictures stay in the gallery.
    Ended,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Removal {
    /// Which jobs.
    #[param(inline)]
    which: Which,
}

/// Cancels all jobs that are open, or takes all that have ended from the list.
#[utoipa::path(delete, path = "/api/jobs", params(Removal),
    responses((status = OK, body = Jobs), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn remove(
    State(app): State<App>,
    removal: Result<Query<Removal>, QueryRejection>,
) -> Result<Json<Jobs>, ApiError> {
    let Query(Removal { which }) = removal.map_err(|rejection| ApiError::Malformed(rejection.body_text()))?;
    match which {
        Which::Open => app.queue.cancel_all(),
        Which::Ended => app.queue.clear_ended(),
    }
    Ok(list(State(app)).await)
}

/// Where a job shall stand.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    /// How many of the jobs that wait are before it; 0 is drawn next. One beyond the end is the last.
    place: usize,
}

/// Moves a job that waits within the queue.
#[utoipa::path(post, path = "/api/jobs/{id}/place", params(("id" = String, Path, description = "The job")),
    request_body = Place, responses((status = OK, body = JobView), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn place(
    State(app): State<App>,
    Name(id): Name,
    JsonBody(Place { place }): JsonBody<Place>,
) -> Result<Json<JobView>, ApiError> {
    Ok(Json(blocking(move || app.queue.place(&id, place)).await??))
}

/// How far a job is.
#[utoipa::path(get, path = "/api/jobs/{id}", params(("id" = String, Path, description = "The job")),
    responses((status = OK, body = JobView), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn status(State(app): State<App>, Name(id): Name) -> Result<Json<JobView>, ApiError> {
    Ok(Json(app.queue.view(&id)?))
}

/// Ends a job: at once if it waits, after the current denoising step if it is drawn.
#[utoipa::path(delete, path = "/api/jobs/{id}", params(("id" = String, Path, description = "The job")),
    responses((status = OK, body = JobView), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn cancel(State(app): State<App>, Name(id): Name) -> Result<Json<JobView>, ApiError> {
    Ok(Json(app.queue.cancel(&id)?))
}

/// What happens to a job, as server-sent events up to its end.
///
/// `job` is the job whenever it changes. Of what is drawn, `start` has seed, method, tokens, subjects and terms of the loss of
/// a run, `loss` the terms of every evaluation, and `step` a denoising step with its losses, attention maps and preview. Who comes in the
/// middle first gets the start and the steps so far.
#[utoipa::path(get, path = "/api/jobs/{id}/events", params(("id" = String, Path, description = "The job")),
    responses((status = OK, content_type = "text/event-stream", body = String), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn events(
    State(app): State<App>,
    Name(id): Name,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let subscription = app.queue.subscribe(&id)?;
    let events = unfold(subscription, async |mut subscription| {
        let event = subscription.next().await?;
        Some((Ok(Event::default().event(event.name).data(&event.data)), subscription))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}
