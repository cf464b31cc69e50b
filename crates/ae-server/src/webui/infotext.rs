//! What a picture says of itself.

use std::collections::BTreeMap;
use std::io::Cursor;

use ae_files::png_chunks::{DecodingError, TextChunks};
use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::image::decode;
use crate::app::blocking;
use crate::body::JsonWithImages;
use crate::error::{ApiError, ErrorBody};

/// A picture whose texts are wanted.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct PngInfoRequest {
    /// A PNG file in base64.
    image: String,
}

/// The texts of a picture.
#[derive(Serialize, ToSchema)]
pub(crate) struct PngInfo {
    /// The parameters as AUTOMATIC1111's program writes them; empty without any.
    info: String,
    /// The other texts.
    items: BTreeMap<String, String>,
    /// The parameters by their names.
    parameters: BTreeMap<String, String>,
}

/// The texts of a PNG file, by their keywords.
///
/// # Errors
///
/// When it is no whole PNG file.
pub(super) fn texts(file: &[u8]) -> Result<BTreeMap<String, String>, DecodingError> {
    let mut chunks = TextChunks::open(Cursor::new(file))?;
    let mut texts = BTreeMap::new();
    for keyword in chunks.keywords()? {
        if let Some(text) = chunks.get(&keyword)? {
            texts.insert(keyword, text);
        }
    }
    Ok(texts)
}

/// Reads what a PNG file says of itself, of this program or another.
#[utoipa::path(post, path = "/sdapi/v1/png-info", request_body = PngInfoRequest,
    responses((status = OK, body = PngInfo), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn png_info(
    JsonWithImages(PngInfoRequest { image }): JsonWithImages<PngInfoRequest>,
) -> Result<Json<PngInfo>, ApiError> {
    let read = move || {
        let bytes = decode("image", &image)?;
        texts(&bytes).map_err(|error| {
            ApiError::of_field(
                "image",
                format!("image is no whole PNG file ({error}): only such are read for their texts"),
            )
        })
    };
    let mut items = blocking(read).await??;
    let info = items.remove("parameters").unwrap_or_default();
    let parameters = ae_settings::a1111::named_values(&info).into_iter().collect();
    Ok(Json(PngInfo { info, items, parameters }))
}
