use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::app::{App, blocking};
use crate::body::ImageBody;
use crate::error::{ApiError, ErrorBody};
use crate::images::ImageView;
use crate::name::Name;

/// Brings an image to start from, or a mask: PNG, JPEG or WebP.
///
/// A request to `/api/generate` names it in `init_image` or `mask` by the name of its file and the `sha256` of this answer. Images
/// are kept until there are too many of them; those that were not asked for the longest go first.
#[utoipa::path(post, path = "/api/images", request_body(content_type = "image/png", content = Vec<u8>),
    responses((status = CREATED, body = ImageView), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn bring(
    State(app): State<App>,
    ImageBody(bytes): ImageBody,
) -> Result<(StatusCode, Json<ImageView>), ApiError> {
    let image = blocking(move || app.gallery.images().keep(&bytes, &app.limits)).await??;
    Ok((StatusCode::CREATED, Json(image)))
}

/// An image that was brought, as it was.
#[utoipa::path(get, path = "/api/images/{id}", params(("id" = String, Path, description = "Its SHA-256")),
    responses((status = OK, content_type = "image/png", body = Vec<u8>), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn image(State(app): State<App>, Name(id): Name) -> Result<Response, ApiError> {
    let found = blocking(move || app.gallery.images().read(&id)).await?;
    let (bytes, kind) = found.ok_or_else(|| ApiError::NotFound("there is no such image".to_owned()))?;
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "private, max-age=31536000, immutable")];
    Ok((headers, bytes).into_response())
}
