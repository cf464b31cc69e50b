use std::io::{BufRead, Seek};
use std::sync::{Mutex, PoisonError};

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
    #[error("this is not a valid PNG file, or its texts are too large ({0})")]
    Png(png::DecodingError),
    #[error("this PNG file has no settings: it was not made by attend-and-excite-rs, or another program removed them")]
    NoSettings,
    #[error("the settings in this PNG file cannot be read ({0})")]
    Settings(serde_json::Error),
}

/// Reads the head of a PNG file, without its pixels, with settings of at most so many bytes. One is read at a time, whoever asks: what
/// texts become in memory is not added up.
pub(crate) fn read_settings(file: impl BufRead + Seek, most: usize) -> Result<PictureInfo, PictureError> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut chunks = TextChunks::open(file).map_err(PictureError::Png)?.at_most(most);
    let [width, height] = chunks.size();
    let settings = chunks.get("settings").map_err(PictureError::Png)?.ok_or(PictureError::NoSettings)?;
    let settings = serde_json::from_str(&settings).map_err(PictureError::Settings)?;
    Ok(PictureInfo { width, height, settings })
}
