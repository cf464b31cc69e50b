//! Pictures in base64, as requests have them.

use ae_settings::FileRef;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::app::App;
use crate::error::ApiError;
use crate::images::ImageView;

/// The bytes of a picture: base64, also as a `data:` address.
///
/// # Errors
///
/// Names the field. An address of another server is none: this one opens no addresses.
pub(super) fn decode(field: &str, text: &str) -> Result<Vec<u8>, ApiError> {
    let refuse = |reason: &str| ApiError::of_field(field, format!("{field} is no picture in base64: {reason}"));
    if text.starts_with("http://") || text.starts_with("https://") {
        return Err(refuse("addresses are not opened, send the picture itself"));
    }
    let text = text.trim();
    let base64 = if text.starts_with("data:") { text.split_once(',').map_or("", |(_, rest)| rest) } else { text };
    STANDARD.decode(base64).map_err(|error| refuse(&error.to_string()))
}

/// Keeps a picture, so that settings can name it.
///
/// # Errors
///
/// Names the field.
pub(super) fn keep(app: &App, field: &str, text: &str) -> Result<(FileRef, ImageView), ApiError> {
    let bytes = decode(field, text)?;
    let image = app.gallery.images().keep(&bytes, &app.limits).map_err(|error| match error {
        ApiError::Invalid { message, .. } => ApiError::of_field(field, format!("{field}: {message}")),
        error => error,
    })?;
    let file = FileRef { name: field.to_owned(), sha256: Some(image.sha256.clone()) };
    Ok((file, image))
}
