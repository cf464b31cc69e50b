use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ImageResult, RgbImage};

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A picture as it is.
pub(crate) fn png(picture: &RgbImage) -> String {
    uri("image/png", |bytes| picture.write_with_encoder(PngEncoder::new(bytes)))
}

/// A picture to be looked at in passing: a quarter of the size.
pub(crate) fn jpeg(picture: &RgbImage) -> String {
    const QUALITY: u8 = 85;
    uri("image/jpeg", |bytes| picture.write_with_encoder(JpegEncoder::new_with_quality(bytes, QUALITY)))
}

fn uri(kind: &str, encode: impl FnOnce(&mut Vec<u8>) -> ImageResult<()>) -> String {
    let mut bytes = Vec::new();
    encode(&mut bytes).expect("memory takes a picture of eight bits");
    format!("data:{kind};base64,{}", base64(&bytes))
}
