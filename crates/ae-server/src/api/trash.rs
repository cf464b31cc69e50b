use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use std::time::Duration;

use super::gallery::{failed, png};
use crate::app::{App, blocking};
use crate::error::{ApiError, ErrorBody};
use crate::gallery::{Entry, Listing};
use crate::name::Name;

/// Deleted pictures, the last first.
#[utoipa::path(get, path = "/api/trash", responses((status = OK, body = Listing)))]
pub(crate) async fn list(State(app): State<App>) -> Result<Json<Listing>, ApiError> {
    let found = blocking(move || app.gallery.list_trash()).await?;
    found.map(Json).map_err(|error| ApiError::Failed(format!("the trash cannot be read: {error}")))
}

/// Removes every deleted picture for good.
#[utoipa::path(delete, path = "/api/trash", responses((status = NO_CONTENT)))]
pub(crate) async fn empty(State(app): State<App>) -> Result<StatusCode, ApiError> {
    let emptied = blocking(move || app.gallery.empty_trash(Duration::ZERO)).await?;
    emptied.map(|()| StatusCode::NO_CONTENT).map_err(|error| failed("removed", &error))
}

/// A deleted picture.
#[utoipa::path(get, path = "/api/trash/{id}/picture.png", params(("id" = String, Path, description = "The entry")),
    responses((status = OK, content_type = "image/png", body = Vec<u8>), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn picture(State(app): State<App>, Name(id): Name) -> Result<Response, ApiError> {
    let name = id.clone();
    blocking(move || app.gallery.trashed_picture(&name)).await?.map(png).ok_or_else(|| unknown(&id))
}

/// Takes a deleted picture back into the gallery.
#[utoipa::path(post, path = "/api/trash/{id}/restore", params(("id" = String, Path, description = "The entry")),
    responses((status = OK, body = Entry), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn restore(State(app): State<App>, Name(id): Name) -> Result<Json<Entry>, ApiError> {
    let name = id.clone();
    let restored = blocking(move || app.gallery.restore(&name).map(|_| app.gallery.entry(&name))).await?;
    restored.map_err(|error| failed("restored", &error))?.map(Json).ok_or_else(|| unknown(&id))
}

fn unknown(id: &str) -> ApiError {
    let id: String = id.chars().take(60).collect();
    ApiError::NotFound(format!("the trash has no '{id}'; it keeps pictures for a day"))
}
