use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use ae_pipeline::{PipelineError, Request};
use ae_settings::{FileRef, Overrides};
use image::{DynamicImage, GrayImage, ImageDecoder, ImageReader, Limits, Luma, Rgb, RgbImage};

use crate::{Error, sha256};

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
    Ok(read(path)?.into_rgb8())
}

/// Reads a mask, as grey as its colours are bright (ITU-R 601-2, as PIL).
///
/// # Errors
///
/// As [`read_image`], and [`Error::TransparentMask`]: programs do not agree on what transparency means.
pub fn read_mask(path: &Path) -> Result<GrayImage, Error> {
    let image = read(path)?;
    if image.color().has_alpha() && image.to_rgba8().pixels().any(|pixel| pixel.0[3] < u8::MAX) {
        return Err(Error::TransparentMask { path: path.to_owned() });
    }
    let image = image.into_rgb8();
    let grey = |&Rgb([red, green, blue]): &Rgb<u8>| {
        let sum = u32::from(red) * 19595 + u32::from(green) * 38470 + u32::from(blue) * 7471 + 0x8000;
        u8::try_from(sum >> 16).unwrap_or(u8::MAX)
    };
    Ok(GrayImage::from_fn(image.width(), image.height(), |x, y| Luma([grey(image.get_pixel(x, y))])))
}

fn read(path: &Path) -> Result<DynamicImage, Error> {
    let mut large = None;
    let mut read = || {
        let mut decoder = open_image(path)?.into_decoder()?;
        if decoder.total_bytes() > LARGEST {
            large = Some(decoder.dimensions());
            return Ok(DynamicImage::default());
        }
        let orientation = decoder.orientation()?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        Ok(image)
    };
    let image = read().map_err(|cause| Error::Image { path: path.to_owned(), cause });
    match large {
        Some((width, height)) => Err(Error::LargeImage { path: path.to_owned(), width, height }),
        None => image,
    }
}

/// The images that settings name, read once for all requests.
#[derive(Clone, Debug, Default)]
pub struct InputImages {
    init_image: Option<RgbImage>,
    mask: Option<GrayImage>,
}

impl InputImages {
    /// Reads the images of files.
    ///
    /// # Errors
    ///
    /// As [`read_image`] and [`read_mask`], and where there is a mask of no image.
    pub fn open(init_image: Option<&Path>, mask: Option<&Path>) -> Result<Self, Error> {
        if let (None, Some(mask)) = (init_image, mask) {
            let name = mask.file_name().unwrap_or_default().display();
            let (value, expected) = (format!("'{name}'"), "an initial image with it, of which it is a mask");
            let error = PipelineError::Option { option: "mask", value, expected: expected.to_owned() };
            return Err(error.into());
        }
        Ok(Self { init_image: init_image.map(read_image).transpose()?, mask: mask.map(read_mask).transpose()? })
    }

    /// Reads the images of settings, which then name them as settings of a picture do: by base name and hash.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn read(settings: &mut Overrides) -> Result<Self, Error> {
        let path = |file: &FileRef| PathBuf::from(&file.name);
        let [init_image, mask] = [&settings.init_image, &settings.mask].map(|file| file.as_ref().map(path));
        let images = Self::open(init_image.as_deref(), mask.as_deref())?;
        for file in settings.init_image.iter_mut().chain(&mut settings.mask) {
            file.sha256 = sha256(&path(file)).ok();
            file.name = file.base_name().to_owned();
        }
        Ok(images)
    }

    /// Gives the images to a request.
    pub fn give_to(self, request: &mut Request) {
        (request.init_image, request.mask) = (self.init_image, self.mask);
    }
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, Rgb};

    use super::*;

    fn read_bytes(file: &[u8]) -> Result<RgbImage, String> {
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
            let image = read_bytes(&encoded(format)).unwrap();
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
            let error = read_bytes(&file).unwrap_err();
            assert!(error.contains(size) && error.ends_with("make it smaller"), "{error}");
            assert!(start.elapsed().as_secs() < 2);
        }
    }

    #[test]
    fn a_mask_is_as_grey_as_pil_sees_it_and_never_transparent() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("mask.png");
        let read = |image: DynamicImage| {
            image.save(&path).unwrap();
            read_mask(&path).map(GrayImage::into_raw).map_err(|error| error.to_string())
        };
        // list(Image.new("RGB", (1, 1), colour).convert("L").getdata())
        for (colour, grey) in
            [([255, 0, 0], 76), ([0, 255, 0], 150), ([0, 0, 255], 29), ([255; 3], 255), ([1, 2, 3], 2)]
        {
            assert_eq!(read(RgbImage::from_pixel(1, 1, Rgb(colour)).into()), Ok(vec![grey]));
        }
        for grey in [0, 127, 128, 255] {
            assert_eq!(read(GrayImage::from_pixel(1, 1, Luma([grey])).into()), Ok(vec![grey]));
        }
        let opaque = image::RgbaImage::from_pixel(1, 1, image::Rgba([255; 4]));
        assert_eq!(read(opaque.into()), Ok(vec![255]));
        let error = read(image::RgbaImage::from_pixel(1, 1, image::Rgba([255, 255, 255, 254])).into()).unwrap_err();
        assert!(error.contains("mask.png' is transparent in places"), "{error}");
    }

    #[test]
    fn the_images_of_settings_are_named_by_their_content() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.png");
        GrayImage::new(8, 8).save(&path).unwrap();
        let mut settings = Overrides::default();
        settings.mask = Some(FileRef::new(path.to_string_lossy()));
        let error = InputImages::read(&mut settings).unwrap_err().to_string();
        assert!(error.ends_with("expected an initial image with it, of which it is a mask"), "{error}");
        settings.init_image.clone_from(&settings.mask);
        let images = InputImages::read(&mut settings).unwrap();
        let mask = settings.mask.unwrap();
        assert_eq!((mask.name.as_str(), mask.sha256), ("a.png", Some(sha256(&path).unwrap())));
        assert_eq!(settings.init_image.unwrap().name, "a.png");
        let mut request = Request::new(ae_settings::Settings::default());
        images.give_to(&mut request);
        assert!(request.init_image.is_some() && request.mask.is_some());
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_no_image() {
        let [image, mask] = [read_image(Path::new("/dev/zero")).err(), read_mask(Path::new("/dev/zero")).err()];
        for error in [image, mask].map(|error| error.unwrap().to_string()) {
            assert!(error.contains("'/dev/zero'") && error.contains("it is a device"), "{error}");
        }
    }
}
