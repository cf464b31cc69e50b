use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::app::App;
use crate::context::Context;
use crate::error::ApiError;

/// Times a byte of JSON grows in memory, at most: that of a list of digits.
const GROWTH: usize = 16;

/// An answer that is always the same, written as JSON once: thousands of requests for it cost next to nothing.
#[derive(Clone)]
pub(crate) struct FixedJson(Bytes);

impl FixedJson {
    /// # Panics
    ///
    /// When the value cannot be written as JSON.
    pub(crate) fn new(value: &impl Serialize) -> Self {
        Self(serde_json::to_vec(value).expect("the value is JSON").into())
    }
}

impl IntoResponse for FixedJson {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json")], self.0).into_response()
    }
}

/// The body of a request as JSON.
///
/// It must say that it is JSON: a form of another page cannot, unless the browser asks us first (a CORS preflight), which we
/// do not answer.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        expect_type(request.headers(), "application/json")?;
        let bytes = read(request.into_body(), ("max_body", app.limits.max_body), GROWTH, app).await?;
        Ok(Self(json(&bytes)?))
    }
}

/// The body of a request as JSON in which pictures are texts: it may be as large as a picture.
pub(crate) struct JsonWithImages<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for JsonWithImages<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        expect_type(request.headers(), "application/json")?;
        let bytes = read(request.into_body(), ("max_picture", app.limits.max_picture), GROWTH, app).await?;
        Ok(Self(json(&bytes)?))
    }
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // A list would be taken for the fields in their order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(ApiError::Malformed("the body is no JSON object".to_owned()));
    }
    serde_json::from_slice(bytes).map_err(|error| ApiError::Malformed(format!("the body is not as expected: {error}")))
}

/// The body of a request as a PNG file.
pub(crate) struct PngBody(pub(crate) Bytes);

impl FromRequest<App> for PngBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        expect_type(request.headers(), "image/png")?;
        Ok(Self(read(request.into_body(), ("max_picture", app.limits.max_picture), 1, app).await?))
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
        Ok(Self(read(request.into_body(), ("max_picture", app.limits.max_picture), 1, app).await?))
    }
}

fn expect_type(headers: &HeaderMap, expected: &'static str) -> Result<(), ApiError> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) { Ok(()) } else { Err(ApiError::ContentType(expected)) }
}

/// Reads a body of at most as many bytes as a limit says, which must arrive in time. Each of the first bytes of a `max_body` counts
/// `times` in the memory that all bodies share.
async fn read(body: Body, (limit, most): (&'static str, usize), times: usize, app: &App) -> Result<Bytes, ApiError> {
    let too_large = || ApiError::too_large(limit, most);
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    let context = Context::current();
    let read = async {
        let mut bytes = Vec::new();
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| ApiError::Malformed(format!("the body cannot be read: {error}")))?;
            let read = bytes.len() + chunk.len();
            if read > most {
                return Err(too_large());
            }
            let dear = read.min(app.limits.max_body) - bytes.len().min(app.limits.max_body);
            let cost = u32::try_from(chunk.len() + (times - 1) * dear).unwrap_or(u32::MAX);
            let share = Arc::clone(&app.bodies).try_acquire_many_owned(cost);
            let share = share.map_err(|_| ApiError::busy("max_bodies", "too much is being sent at a time"))?;
            if let Some(context) = &context {
                context.keep(share);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.into())
    };
    timeout(app.limits.body_time(), read).await.unwrap_or(Err(ApiError::Timeout))
}
