//! What the server answers.

mod gallery;
mod images;
mod info;
mod jobs;
mod texts;

use axum::extract::Request;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::{Json, Router};
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::ApiError;
use crate::guard::guard;
use crate::{assets, webui};

#[derive(OpenApi)]
#[openapi(info(
    title = "Attend-and-Excite",
    description = "Pictures in which every subject of the prompt appears. Every error is an object with the key `error`."
))]
struct Api;

/// All routes.
pub(crate) fn router(app: App) -> Router {
    let (router, document) = documented().split_for_parts();
    router
        .route("/", get(assets::page))
        .route("/assets/{name}", get(assets::file))
        .route("/favicon.ico", get(assets::icon))
        .route("/api/openapi.json", get(async move || Json(document)))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(app.clone(), guard))
        .with_state(app)
}

/// The routes that the OpenAPI document describes.
fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(info::info))
        .routes(routes!(info::schema))
        .routes(routes!(info::models))
        .routes(routes!(info::devices))
        .routes(routes!(info::tokens))
        .routes(routes!(texts::texts))
        .routes(routes!(images::bring))
        .routes(routes!(images::image))
        .routes(routes!(jobs::generate))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::status, jobs::cancel))
        .routes(routes!(jobs::events))
        .routes(routes!(gallery::list))
        .routes(routes!(gallery::entry, gallery::remove))
        .routes(routes!(gallery::picture))
        .routes(routes!(gallery::plain))
        .routes(routes!(gallery::record))
        .routes(routes!(gallery::report))
        .routes(routes!(gallery::settings))
        .routes(routes!(webui::txt2img))
        .routes(routes!(webui::progress))
        .routes(routes!(webui::interrupt))
        .routes(routes!(webui::sd_models))
        .routes(routes!(webui::samplers))
        .routes(routes!(webui::options))
}

/// The OpenAPI document.
pub(crate) fn document() -> Document {
    documented().into_openapi()
}

async fn unknown(request: Request) -> ApiError {
    let path: String = request.uri().path().chars().take(80).collect();
    ApiError::NotFound(format!("there is nothing at '{path}'; see /api/openapi.json"))
}

async fn wrong_method(method: Method, request: Request) -> ApiError {
    let path: String = request.uri().path().chars().take(80).collect();
    ApiError::Method(format!("{method} {path}"))
}
