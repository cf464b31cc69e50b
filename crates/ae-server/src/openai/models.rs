use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::{App, blocking};
use crate::error::ApiError;

/// The models.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiModels {
    /// `list`.
    object: &'static str,
    data: Vec<OpenAiModel>,
}

/// A model.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiModel {
    /// What a request names.
    id: String,
    /// `model`.
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

/// The models that can be chosen, the default first.
#[utoipa::path(get, path = "/v1/models", responses((status = OK, body = OpenAiModels)))]
pub(crate) async fn models(State(app): State<App>) -> Result<Json<OpenAiModels>, ApiError> {
    let models = blocking(move || app.engine.models()).await?.into_iter();
    let model = |model: crate::Model| OpenAiModel {
        id: model.id,
        object: "model",
        created: 0,
        owned_by: "attend-and-excite-rs",
    };
    Ok(Json(OpenAiModels { object: "list", data: models.map(model).collect() }))
}
