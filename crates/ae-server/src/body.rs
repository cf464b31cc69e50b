use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::app::App;
use crate::error::ApiError;

/// The body of a request as JSON.
///
/// It must say that it is JSON: a form of another page cannot, unless the browser asks us first (a CORS preflight), which we
/// do not answer.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        expect_type(request.headers(), "application/json")?;
        let bytes = read(request.into_body(), app.limits.max_body, app).await?;
        // A list would be taken for the fields in their order.
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return Err(ApiError::Malformed("the body is no JSON object".to_owned()));
        }
        let value = serde_json::from_slice(&bytes)
            .map_err(|error| ApiError::Malformed(format!("the body is not as expected: {error}")))?;
        Ok(Self(value))
    }
}

/// The body of a request as a PNG file.
pub(crate) struct PngBody(pub(crate) Bytes);

impl FromRequest<App> for PngBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        expect_type(request.headers(), "image/png")?;
        Ok(Self(read(request.into_body(), app.limits.max_picture, app).await?))
    }
}

/// The body of a request as an image of one of the formats that are read.
pub(crate) struct ImageBody(pub(crate) Bytes);

impl FromRequest<App> for ImageBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let is_one = |expected| expect_type(request.headers(), expected).is_ok();
        if !["image/png", "image/jpeg", "image/webp"].into_iter().any(is_one) {
            return Err(ApiError::ContentType("image/png, image/jpeg or image/webp"));
        }
        Ok(Self(read(request.into_body(), app.limits.max_picture, app).await?))
    }
}

fn expect_type(headers: &HeaderMap, expected: &'static str) -> Result<(), ApiError> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) { Ok(()) } else { Err(ApiError::ContentType(expected)) }
}

/// Reads a body of at most `most` bytes, which must arrive in time.
async fn read(body: Body, most: usize, app: &App) -> Result<Bytes, ApiError> {
    let read = async {
        let mut bytes = Vec::new();
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| ApiError::Malformed(format!("the body cannot be read: {error}")))?;
            if bytes.len() + chunk.len() > most {
                return Err(ApiError::TooLarge(most));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.into())
    };
    timeout(app.limits.read_timeout, read).await.unwrap_or(Err(ApiError::Timeout))
}
