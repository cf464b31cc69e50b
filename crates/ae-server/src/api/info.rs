use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::{App, blocking};
use crate::body::{FixedJson, JsonBody};
use crate::error::{ApiError, ErrorBody};
use crate::{Device, Limits, Tokens, TokensRequest};

/// What the server can do.
#[derive(Serialize, ToSchema)]
pub(crate) struct Info {
    version: &'static str,
    limits: Limits,
    /// 256 colours of the heat maps, six hexadecimal digits each.
    palette: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Devices {
    devices: Vec<Device>,
}

/// Version, limits and colours.
#[utoipa::path(get, path = "/api/info", responses((status = OK, body = Info)))]
pub(crate) async fn info(State(app): State<App>) -> Json<Info> {
    Json(Info { version: env!("CARGO_PKG_VERSION"), limits: (*app.limits).clone(), palette: ae_figures::palette_hex() })
}

/// The fields of a request to `/api/generate`, as JSON Schema.
///
/// Of every option: type, range, names, default, title and description; `x-order`, `x-group`, `x-kind`, `x-flag` and `x-default`
/// help forms. `x-methods` has the methods with the options that only they read.
#[utoipa::path(get, path = "/api/schema", responses((status = OK, body = Object)))]
pub(crate) async fn schema(State(app): State<App>) -> FixedJson {
    app.schema
}

/// The devices that can be chosen, the default first.
#[utoipa::path(get, path = "/api/devices", responses((status = OK, body = Devices)))]
pub(crate) async fn devices(State(app): State<App>) -> Result<Json<Devices>, ApiError> {
    Ok(Json(Devices { devices: blocking(move || app.engine.devices()).await? }))
}

/// The tokens of a prompt, its words, and which of them are subjects where nobody names any.
#[utoipa::path(post, path = "/api/tokens", request_body = TokensRequest,
    responses((status = OK, body = Tokens), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn tokens(
    State(app): State<App>,
    JsonBody(request): JsonBody<TokensRequest>,
) -> Result<Json<Tokens>, ApiError> {
    let length = request.prompt.chars().count();
    if length > app.limits.max_prompt {
        let most = app.limits.max_prompt;
        let message = format!("prompt is {length} characters long: expected at most {most}");
        return Err(ApiError::of_field("prompt", message));
    }
    Ok(Json(blocking(move || app.engine.tokens(&request)).await??))
}
