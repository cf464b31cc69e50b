use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageReader, Limits, RgbImage};

use crate::Error;

/// Bytes of the pixels: 89 million of 3 bytes, four times those of a large camera.
pub(crate) const LARGEST: u64 = 256 << 20;

/// A reader of an image that is bounded.
pub(crate) fn open_image(path: &Path) -> io::Result<ImageReader<BufReader<File>>> {
    let mut reader = ImageReader::new(BufReader::new(ae_files::open_file(path)?));
    // Of what the decoder keeps beside the pixels.
    let mut limits = Limits::default();
    limits.max_alloc = Some(2 * LARGEST);
    reader.limits(limits);
    reader.with_guessed_format()
}

/// Reads an image (PNG, JPEG or WebP), turned as its camera says.
///
/// # Errors
///
/// [`Error::Image`] names the file, [`Error::LargeImage`] also its size: a few bytes can claim any.
pub fn read_image(path: &Path) -> Result<RgbImage, Error> {
    let mut large = None;
    let mut read = || {
        let mut decoder = open_image(path)?.into_decoder()?;
        if decoder.total_bytes() > LARGEST {
            large = Some(decoder.dimensions());
            return Ok(RgbImage::default());
        }
        let orientation = decoder.orientation()?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        Ok(image.into_rgb8())
    };
    let image = read().map_err(|cause| Error::Image { path: path.to_owned(), cause });
    match large {
        Some((width, height)) => Err(Error::LargeImage { path: path.to_owned(), width, height }),
        None => image,
    }
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, Rgb};

    use super::*;

    fn read(file: &[u8]) -> Result<RgbImage, String> {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a");
        std::fs::write(&path, file).unwrap();
        read_image(&path).map_err(|error| error.to_string())
    }

    fn encoded(format: ImageFormat) -> Vec<u8> {
        let mut file = std::io::Cursor::new(Vec::new());
        RgbImage::from_pixel(3, 2, Rgb([255, 0, 0])).write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    /// A PNG file whose header claims a size, 16 bits a channel and alpha.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(png::ColorType::Rgba);
        encoder.set_depth(png::BitDepth::Sixteen);
        let mut writer = encoder.write_header().unwrap();
        writer.write_chunk(png::chunk::IDAT, &[0x78, 0x9c]).unwrap();
        drop(writer);
        file
    }

    /// A JPEG file whose header claims a size.
    fn jpeg(width: u16, height: u16) -> Vec<u8> {
        let mut file = encoded(ImageFormat::Jpeg);
        let frame = file.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
        file[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
        file[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
        file
    }

    #[test]
    fn every_format_is_read() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            let image = read(&encoded(format)).unwrap();
            assert_eq!(image.dimensions(), (3, 2));
            assert!(image.get_pixel(1, 1).0[0] > 240);
        }
    }

    #[test]
    fn a_size_that_would_exhaust_memory_is_refused_by_its_header() {
        let claims = [
            (png(60000, 60000), "60000 x 60000"),
            (png(14000, 14000), "14000 x 14000"),
            (jpeg(65500, 65500), "65500 x 65500"),
            (jpeg(15000, 15000), "15000 x 15000"),
        ];
        for (file, size) in claims {
            let start = std::time::Instant::now();
            let error = read(&file).unwrap_err();
            assert!(error.contains(size) && error.ends_with("make it smaller"), "{error}");
            assert!(start.elapsed().as_secs() < 2);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_no_image() {
        let error = read_image(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(error.contains("'/dev/zero'") && error.contains("it is a device"), "{error}");
    }
}
