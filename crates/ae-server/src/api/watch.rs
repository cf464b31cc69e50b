use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use crate::app::App;
use crate::error::ErrorBody;
use crate::metrics::Now;

/// Whether the server draws: for those who start it anew where it does not. Needs no token.
#[utoipa::path(get, path = "/healthz", responses((status = OK, content_type = "text/plain", body = String),
    (status = SERVICE_UNAVAILABLE, content_type = "text/plain", body = String)))]
pub(crate) async fn health(State(app): State<App>) -> (StatusCode, &'static str) {
    if app.queue.is_open() { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "stopping\n") }
}

/// Queue, durations, failures and memory as Prometheus reads them.
#[utoipa::path(get, path = "/metrics", responses((status = OK, content_type = "text/plain", body = String),
    (status = "4XX", body = ErrorBody)))]
pub(crate) async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let (waiting, is_drawing) = app.queue.counts();
    let (connections, closed_connections) = app.places.counts();
    let gallery_bytes = app.gallery.bytes();
    let text = app.metrics.text(Now { waiting, is_drawing, connections, closed_connections, gallery_bytes });
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}
