use std::io::{BufRead, Seek};

use ae_files::png_chunks::TextChunks;
use serde_json::Value;

/// What a picture says of itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PictureInfo {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Its text chunk `settings`.
    pub(crate) settings: Value,
}

/// Why a file says nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PictureError {
    #[error("this is not a valid PNG file ({0})")]
    Png(png::DecodingError),
    #[error("this PNG file has no settings: it was not made by attend-and-excite-rs, or another program removed them")]
    NoSettings,
    #[error("the settings in this PNG file cannot be read ({0})")]
    Settings(serde_json::Error),
}

/// Reads the head of a PNG file, without its pixels.
pub(crate) fn read_settings(file: impl BufRead + Seek) -> Result<PictureInfo, PictureError> {
    let mut chunks = TextChunks::open(file).map_err(PictureError::Png)?;
    let [width, height] = chunks.size();
    let settings = chunks.get("settings").map_err(PictureError::Png)?.ok_or(PictureError::NoSettings)?;
    let settings = serde_json::from_str(&settings).map_err(PictureError::Settings)?;
    Ok(PictureInfo { width, height, settings })
}
