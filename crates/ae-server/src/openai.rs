//! Pictures by the API of OpenAI (`/v1`), which many chat programs speak alone.
//!
//! Fields that it does not have, such as `subjects`, `steps` or `seed`, are those of `/api/generate`. Errors have its shape; see
//! [`errors`].

mod errors;
mod images;
mod models;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
pub(crate) use errors::in_its_shape;

/// All routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(models::models)).routes(routes!(images::generations))
}
