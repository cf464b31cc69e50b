//! Errors as that API has them.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// The body of an error.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiErrorBody {
    error: OpenAiError,
}

/// What is wrong.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiError {
    /// What is wrong and what to do.
    message: String,
    /// `invalid_request_error`, `authentication_error`, `rate_limit_error` or `server_error`.
    r#type: &'static str,
    /// The field of the request that is wrong, if it is one.
    param: Option<String>,
    code: Option<&'static str>,
}

/// Gives the errors of its addresses its shape, whoever refused the request.
pub(crate) async fn in_its_shape(request: Request, next: Next) -> Response {
    /// More than any error has.
    const LONGEST: usize = 1 << 16;
    let is_its_own = request.uri().path().starts_with("/v1/");
    let response = next.run(request).await;
    let status = response.status();
    if !is_its_own || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, LONGEST).await.unwrap_or_default();
    let ours: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let text = |name: &str| ours[name].as_str().map(str::to_owned);
    let param = text("field");
    let (r#type, code) = match status {
        StatusCode::UNAUTHORIZED => ("authentication_error", Some("invalid_api_key")),
        StatusCode::TOO_MANY_REQUESTS => ("rate_limit_error", Some("rate_limit_exceeded")),
        _ if status.is_server_error() => ("server_error", None),
        _ if param.as_deref() == Some("model") => ("invalid_request_error", Some("model_not_found")),
        _ => ("invalid_request_error", None),
    };
    // It knows no 422.
    parts.status = match (status, code) {
        (StatusCode::UNPROCESSABLE_ENTITY, Some("model_not_found")) => StatusCode::NOT_FOUND,
        (StatusCode::UNPROCESSABLE_ENTITY, _) => StatusCode::BAD_REQUEST,
        _ => status,
    };
    let message = text("error").unwrap_or_else(|| String::from_utf8_lossy(&bytes).into_owned());
    let body = Json(OpenAiErrorBody { error: OpenAiError { message, r#type, param, code } });
    let mut answer = (parts.status, body).into_response();
    // What else was said, such as when to try again.
    for (name, value) in &parts.headers {
        answer.headers_mut().entry(name).or_insert(value.clone());
    }
    let own = ["content-length", "content-type"].map(|name| parts.headers.contains_key(name));
    if own[0] {
        answer.headers_mut().remove("content-length");
    }
    answer
}
