use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream::try_unfold;
use serde::Deserialize;
use utoipa::IntoParams;

use super::gallery::find;
use crate::app::{App, blocking};
use crate::error::{ApiError, ErrorBody};
use crate::gallery::{Archive, MOST};

/// Which pictures.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Selection {
    /// The names of entries, with commas between them; at most 200.
    ids: String,
}

/// Pictures of the gallery as one zip file, which is made while it is sent.
#[utoipa::path(get, path = "/api/gallery.zip", params(Selection),
    responses((status = OK, content_type = "application/zip", body = Vec<u8>), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn zip(
    State(app): State<App>,
    selection: Result<Query<Selection>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(Selection { ids }) = selection.map_err(|rejection| ApiError::Malformed(rejection.body_text()))?;
    let mut ids: Vec<_> = ids.split(',').map(str::to_owned).collect();
    if ids.len() > MOST {
        let message = format!("ids has {} entries: expected at most {MOST}", ids.len());
        return Err(ApiError::of_field("ids", message));
    }
    ids.sort_unstable();
    ids.dedup();
    for id in &ids {
        let gallery = Arc::clone(&app.gallery);
        find(id.clone(), move |id| gallery.entry(id)).await?;
    }
    let archive = Archive::new(Arc::clone(&app.gallery), ids);
    // A client that does not read keeps one entry in memory, and no thread.
    let parts = try_unfold(archive, async |mut archive| {
        let next = blocking(move || (archive.next(), archive)).await;
        let (part, archive) = next.map_err(std::io::Error::other)?;
        Ok::<_, std::io::Error>(part?.map(|part| (part, archive)))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/zip"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"pictures.zip\""),
    ];
    Ok((headers, Body::from_stream(parts)).into_response())
}
