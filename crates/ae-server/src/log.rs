//! What the log says of requests.

use std::time::Duration;

use ae_files::show_foreign;
use axum::extract::Request;
use axum::response::Response;

use crate::context::Context;
use crate::error::{Detail, LimitName};
use crate::metrics::Metrics;

/// A request as the log names it.
#[derive(Debug)]
pub(crate) struct Line {
    id: String,
    client: String,
    request: String,
}

impl Line {
    pub(crate) fn new(context: &Context, request: &Request) -> Self {
        /// Characters of a path.
        const LONGEST: usize = 100;
        // Without the query, in which a token may stand.
        let request = format!("{} {}", request.method(), request.uri().path());
        Self {
            id: context.id.clone(),
            client: context.client.to_string(),
            request: show_foreign(&request, LONGEST, false),
        }
    }

    /// Says how it was answered.
    pub(crate) fn end(self, metrics: &Metrics, response: &Response, time: Duration) {
        let Self { id, client, request } = self;
        let (status, extensions) = (response.status().as_u16(), response.extensions());
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        metrics.answered(status, time);
        if let Some(LimitName(limit)) = extensions.get() {
            metrics.limited(limit);
            tracing::info!(id, client, status, ms, limit, "{request}");
        } else if let Some(Detail(reason)) = extensions.get() {
            tracing::error!(id, client, status, ms, reason, "{request}");
        } else {
            tracing::debug!(id, client, status, ms, "{request}");
        }
    }
}
