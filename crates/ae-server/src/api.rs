//! What the server answers.

mod archive;
mod gallery;
mod images;
mod info;
mod jobs;
mod models;
mod texts;
mod trash;
mod watch;

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::FixedJson;
use crate::error::ApiError;
use crate::guard::guard;
use crate::{assets, openai, webui};

#[derive(OpenApi)]
#[openapi(info(
    title = "Attend-and-Excite",
    description = "Pictures in which every subject of the prompt appears. Every error is an object with the key `error`."
))]
struct Api;

/// All routes.
pub(crate) fn router(app: App) -> Router {
    let (router, document) = documented().split_for_parts();
    let document = FixedJson::new(&document);
    router
        .route("/", get(assets::page))
        .route("/assets/{name}", get(assets::file))
        .route("/favicon.ico", get(assets::icon))
        .route("/api/openapi.json", get(async move || document))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(app.clone(), guard))
        .layer(from_fn(openai::in_its_shape))
        .with_state(app)
}

/// The routes that the OpenAPI document describes.
fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(info::info))
        .routes(routes!(info::schema))
        .routes(routes!(models::models))
        .routes(routes!(models::adapters))
        .routes(routes!(models::download, models::cancel, models::events))
        .routes(routes!(info::devices))
        .routes(routes!(info::tokens))
        .routes(routes!(texts::texts))
        .routes(routes!(images::bring))
        .routes(routes!(images::image))
        .routes(routes!(jobs::generate))
        .routes(routes!(jobs::list, jobs::remove))
        .routes(routes!(jobs::status, jobs::cancel))
        .routes(routes!(jobs::place))
        .routes(routes!(jobs::events))
        .routes(routes!(gallery::list))
        .routes(routes!(gallery::entry, gallery::change, gallery::remove))
        .routes(routes!(gallery::picture))
        .routes(routes!(gallery::plain))
        .routes(routes!(gallery::record))
        .routes(routes!(gallery::report))
        .routes(routes!(archive::zip))
        .routes(routes!(trash::list, trash::empty))
        .routes(routes!(trash::picture))
        .routes(routes!(trash::restore))
        .routes(routes!(gallery::settings))
        .routes(routes!(watch::health))
        .routes(routes!(watch::metrics))
        .merge(webui::router())
        .merge(openai::router())
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
