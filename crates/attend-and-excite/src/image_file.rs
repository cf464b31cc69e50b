use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageReader, RgbImage};

use crate::Error;

/// Reads an image (PNG, JPEG or WebP), turned as its camera says.
///
/// # Errors
///
/// [`Error::Image`] names the file.
pub fn read_image(path: &Path) -> Result<RgbImage, Error> {
    let read = || {
        let mut decoder = ImageReader::open(path)?.with_guessed_format()?.into_decoder()?;
        let orientation = decoder.orientation()?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        Ok(image.into_rgb8())
    };
    read().map_err(|source| Error::Image { path: path.to_owned(), source })
}
