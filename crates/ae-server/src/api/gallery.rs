use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::GenerateRequest;
use crate::PICTURE_NAMES;
use crate::app::{App, blocking};
use crate::body::{JsonBody, PngBody};
use crate::error::{ApiError, ErrorBody};
use crate::gallery::{Entry, Listing, Wanted};
use crate::name::Name;
use crate::png_text::read_settings;

/// What was made, the newest first.
#[utoipa::path(get, path = "/api/gallery", params(Wanted),
    responses((status = OK, body = Listing), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn list(
    State(app): State<App>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Listing>, ApiError> {
    let Query(wanted) = wanted.map_err(|rejection| ApiError::Malformed(rejection.body_text()))?;
    let found = blocking(move || app.gallery.list(&wanted)).await?;
    found.map(Json).map_err(|error| ApiError::Failed(format!("the gallery cannot be read: {error}")))
}

/// How a picture was made.
#[utoipa::path(get, path = "/api/gallery/{id}", params(("id" = String, Path, description = "The entry")),
    responses((status = OK, body = Entry), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn entry(State(app): State<App>, Name(id): Name) -> Result<Json<Entry>, ApiError> {
    find(id, move |id| app.gallery.entry(id)).await.map(Json)
}

/// What can be changed of an entry. What is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntryChange {
    /// Whether it is a favourite.
    favourite: Option<bool>,
}

/// Makes a picture a favourite, or none.
#[utoipa::path(patch, path = "/api/gallery/{id}", params(("id" = String, Path, description = "The entry")),
    request_body = EntryChange, responses((status = OK, body = Entry), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn change(
    State(app): State<App>,
    Name(id): Name,
    JsonBody(change): JsonBody<EntryChange>,
) -> Result<Json<Entry>, ApiError> {
    let (app, name) = (app.clone(), id.clone());
    let done = blocking(move || {
        if let Some(favourite) = change.favourite {
            app.gallery.set_favourite(&name, favourite)?;
        }
        Ok(app.gallery.entry(&name))
    });
    match done.await? {
        Ok(entry) => entry.map(Json).ok_or_else(|| unknown(&id)),
        Err(error) => Err(failed("changed", &error)),
    }
}

/// Moves a picture into the trash, where it can be taken back for a day.
#[utoipa::path(delete, path = "/api/gallery/{id}", params(("id" = String, Path, description = "The entry")),
    responses((status = NO_CONTENT), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn remove(State(app): State<App>, Name(id): Name) -> Result<StatusCode, ApiError> {
    let name = id.clone();
    match blocking(move || app.gallery.discard(&name)).await? {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => Err(unknown(&id)),
        Err(error) => Err(failed("removed", &error)),
    }
}

/// The picture.
#[utoipa::path(get, path = "/api/gallery/{id}/picture.png", params(("id" = String, Path, description = "The entry")),
    responses((status = OK, content_type = "image/png", body = Vec<u8>), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn picture(State(app): State<App>, Name(id): Name) -> Result<Response, ApiError> {
    find(id, move |id| app.gallery.picture(id, PICTURE_NAMES[0])).await.map(png)
}

/// The plain picture beside it.
#[utoipa::path(get, path = "/api/gallery/{id}/plain.png", params(("id" = String, Path, description = "The entry")),
    responses((status = OK, content_type = "image/png", body = Vec<u8>), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn plain(State(app): State<App>, Name(id): Name) -> Result<Response, ApiError> {
    find(id, move |id| app.gallery.picture(id, PICTURE_NAMES[1])).await.map(png)
}

/// The run: tokens, subjects, and of every step losses, attention maps and preview.
#[utoipa::path(get, path = "/api/gallery/{id}/run.json", params(("id" = String, Path, description = "The entry")),
    responses((status = OK, body = Object), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn record(State(app): State<App>, Name(id): Name) -> Result<Json<Value>, ApiError> {
    let name = id.clone();
    let record = find(id, move |id| app.gallery.record(id)).await?;
    Ok(Json(with_pictures(record, |file| Some(format!("/api/gallery/{name}/{file}")))))
}

/// The run as one HTML file that needs nothing else.
#[utoipa::path(get, path = "/api/gallery/{id}/report.html", params(("id" = String, Path, description = "The entry")),
    responses((status = OK, content_type = "text/html", body = String), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn report(State(app): State<App>, Name(id): Name) -> Result<Response, ApiError> {
    let name = id.clone();
    let html = find(id, move |id| {
        let (record, trace) = (app.gallery.record(id)?, app.gallery.trace(id)?);
        let record = with_pictures(record, |file| {
            let name = PICTURE_NAMES.into_iter().find(|name| *name == file)?;
            let picture = app.gallery.picture(id, name)?;
            Some(format!("data:image/png;base64,{}", STANDARD.encode(picture)))
        });
        Some(ae_figures::report_of(&record, &trace))
    });
    let html = html.await?;
    // A report is made to be opened from disk; its scripts shall not run with the rights of this page.
    let disposition = format!("attachment; filename=\"{name}.html\"");
    Ok(([(header::CONTENT_DISPOSITION, disposition)], Html(html)).into_response())
}

/// Reads the settings of a picture that this program made.
#[utoipa::path(post, path = "/api/settings", request_body(content_type = "image/png", content = Vec<u8>),
    responses((status = OK, body = RestoredSettings), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn settings(
    State(app): State<App>,
    PngBody(bytes): PngBody,
) -> Result<Json<RestoredSettings>, ApiError> {
    let most = app.limits.max_unpacked;
    let info = blocking(move || read_settings(std::io::Cursor::new(bytes), most)).await?;
    let info = info.map_err(|error| ApiError::invalid(error.to_string()))?;
    let mut settings = GenerateRequest::from_json(info.settings)
        .map_err(|error| ApiError::invalid(format!("the settings in this picture cannot be used: {error}")))?;
    // Pictures of the command line have the model's title. One that is not here stays, to be refused by its name.
    if let Some(name) = &mut settings.overrides.model
        && let Some(model) = app.engine.models().into_iter().find(|model| model.title == *name)
    {
        *name = model.id;
    }
    Ok(Json(RestoredSettings { settings }))
}

#[derive(Serialize, ToSchema)]
pub(crate) struct RestoredSettings {
    /// What draws the picture again.
    settings: GenerateRequest,
}

/// What the gallery has of an entry.
pub(super) async fn find<T: Send + 'static>(
    id: String,
    read: impl FnOnce(&str) -> Option<T> + Send + 'static,
) -> Result<T, ApiError> {
    let name = id.clone();
    blocking(move || read(&name)).await?.ok_or_else(|| unknown(&id))
}

fn unknown(id: &str) -> ApiError {
    let id: String = id.chars().take(60).collect();
    ApiError::NotFound(format!("the gallery has no '{id}'"))
}

pub(super) fn failed(what: &str, error: &std::io::Error) -> ApiError {
    ApiError::Failed(format!("the picture cannot be {what}: {error}"))
}

pub(super) fn png(bytes: Vec<u8>) -> Response {
    // An entry never changes.
    let headers =
        [(header::CONTENT_TYPE, "image/png"), (header::CACHE_CONTROL, "private, max-age=31536000, immutable")];
    (headers, bytes).into_response()
}

/// A record in which the names of pictures are replaced by their addresses.
fn with_pictures(mut record: Value, address: impl Fn(&str) -> Option<String>) -> Value {
    // What is no record of ours stays as it is.
    let runs = record.get_mut("runs").and_then(Value::as_array_mut);
    for picture in runs.into_iter().flatten().filter_map(|run| run.get_mut("picture")) {
        if let Some(address) = picture.as_str().and_then(&address) {
            *picture = Value::from(address);
        }
    }
    record
}
