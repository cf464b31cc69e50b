use ae_settings::{Settings, a1111};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::GenerateRequest;
use crate::app::{App, blocking};
use crate::body::JsonBody;
use crate::error::{ApiError, ErrorBody};

/// A request as other programs take it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Texts {
    /// The call of `ae generate` that draws it.
    command: String,
    /// The text that AUTOMATIC1111's program writes into its pictures, of the first seed.
    parameters: String,
}

/// A request as a command line and as AUTOMATIC1111's text of parameters; nothing is drawn.
#[utoipa::path(post, path = "/api/texts", request_body = GenerateRequest,
    responses((status = OK, body = Texts), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn texts(State(app): State<App>, JsonBody(request): JsonBody<Value>) -> Result<Json<Texts>, ApiError> {
    let request = GenerateRequest::from_json(request)?;
    request.check(&app.limits)?;
    blocking(move || {
        let command = app.engine.command(&request)?;
        // What the request leaves to the model stands in the text too, where it is known.
        let models = app.engine.models();
        let model = request.overrides.model.as_ref().map_or(models.first(), |id| models.iter().find(|it| it.id == *id));
        let defaults = model.and_then(|model| model.defaults.clone()).unwrap_or_default();
        let mut settings = Settings::combine([&defaults.settings, &request.overrides])?;
        settings.seed = request.seeds.first().copied().unwrap_or(settings.seed);
        Ok(Json(Texts { command, parameters: a1111::write(&settings) }))
    })
    .await?
}
