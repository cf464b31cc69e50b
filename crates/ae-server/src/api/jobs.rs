use std::convert::Infallible;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{Stream, unfold};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::GenerateRequest;
use crate::app::App;
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
