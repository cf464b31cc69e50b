use std::convert::Infallible;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{Stream, unfold};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::{App, blocking};
use crate::downloads::DownloadView;
use crate::error::{ApiError, ErrorBody};
use crate::name::Name;
use crate::{Adapters, Model};

#[derive(Serialize, ToSchema)]
pub(crate) struct Models {
    models: Vec<ListedModel>,
}

/// A model, and what is done to have it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ListedModel {
    #[serde(flatten)]
    model: Model,
    /// Its download, if there is or was one since the server started.
    download: Option<DownloadView>,
}

/// The models that can be chosen, the default first; behind those that are here are those that can be downloaded (`remote`).
#[utoipa::path(get, path = "/api/models", responses((status = OK, body = Models)))]
pub(crate) async fn models(State(app): State<App>) -> Result<Json<Models>, ApiError> {
    let list = move || {
        let with_download = |model: Model| ListedModel { download: app.downloads.view(&model.id), model };
        app.engine.models().into_iter().map(with_download).collect()
    };
    Ok(Json(Models { models: blocking(list).await? }))
}

/// The LoRAs, textual inversions and autoencoders that can be chosen for a job, by their names: those of the folders that the
/// server was started with.
#[utoipa::path(get, path = "/api/adapters", responses((status = OK, body = Adapters), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn adapters(State(app): State<App>) -> Result<Json<Adapters>, ApiError> {
    Ok(Json(blocking(move || app.engine.adapters()).await??))
}

/// Downloads a model that is known and not here. One that broke off goes on from where it was.
#[utoipa::path(post, path = "/api/models/{id}/download", params(("id" = String, Path, description = "The model")),
    responses((status = ACCEPTED, body = DownloadView), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn download(
    State(app): State<App>,
    Name(id): Name,
) -> Result<(StatusCode, Json<DownloadView>), ApiError> {
    let view = blocking(move || app.downloads.start(&app.engine, &id)).await??;
    Ok((StatusCode::ACCEPTED, Json(view)))
}

/// Ends a download; what has arrived is kept.
#[utoipa::path(delete, path = "/api/models/{id}/download", params(("id" = String, Path, description = "The model")),
    responses((status = OK, body = DownloadView), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn cancel(State(app): State<App>, Name(id): Name) -> Result<Json<DownloadView>, ApiError> {
    Ok(Json(app.downloads.cancel(&id)?))
}

/// How far a download is, as server-sent events `download` up to its end.
#[utoipa::path(get, path = "/api/models/{id}/download", params(("id" = String, Path, description = "The model")),
    responses((status = OK, content_type = "text/event-stream", body = String), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn events(
    State(app): State<App>,
    Name(id): Name,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let mut receiver = app.downloads.subscribe(&id)?;
    receiver.mark_changed();
    let events = unfold(Some(receiver), async |receiver| {
        let mut receiver = receiver?;
        receiver.changed().await.ok()?;
        let view = receiver.borrow_and_update().clone();
        let data = serde_json::to_string(&view).expect("a download is JSON");
        Some((Ok(Event::default().event("download").data(data)), (!view.state.is_final()).then_some(receiver)))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}
