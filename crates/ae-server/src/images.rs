//! The images that clients bring: what a picture starts from, and its mask.
//!
//! They lie in a folder of the gallery under the SHA-256 of their bytes, as settings name them: so a picture of the gallery can be
//! drawn again from its settings alone.

use std::fs::{self, File};
use std::io::{self, Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use ae_files::{open_file, read_file, remove_unfinished, write_file};
use ae_settings::FileRef;
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::{GenerateRequest, Limits};

/// In the folder of the gallery, whose entries have other names.
const FOLDER: &str = ".images";
/// The formats that are read, and their types.
const FORMATS: [(ImageFormat, &str); 3] =
    [(ImageFormat::Png, "image/png"), (ImageFormat::Jpeg, "image/jpeg"), (ImageFormat::WebP, "image/webp")];
/// Longest name of a file.
const LONGEST_NAME: usize = 255;

/// An image that a client has brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Image)]
pub(crate) struct ImageView {
    /// What names it in `init_image` and `mask`, beside the name of its file: the SHA-256 of its bytes.
    pub(crate) sha256: String,
    /// Width in pixels, as it is shown.
    pub(crate) width: u32,
    /// Height in pixels.
    pub(crate) height: u32,
}

/// Where the images of a request lie on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputFiles {
    /// What the picture starts from.
    pub init_image: Option<PathBuf>,
    /// White where that is drawn anew.
    pub mask: Option<PathBuf>,
}

/// The folder of images.
#[derive(Debug)]
pub(crate) struct Images {
    folder: PathBuf,
    /// Held while one is decoded, of which many at a time would take much memory, or kept.
    lock: Mutex<()>,
}

impl Images {
    /// Those of a gallery.
    pub(crate) fn of_gallery(gallery: &Path) -> Self {
        let folder = gallery.join(FOLDER);
        // Tidying up is no reason not to start; there may be no folder yet.
        let _ = remove_unfinished(&folder);
        Self { folder, lock: Mutex::default() }
    }

    /// Keeps an image that can be read. Where the folder is full, those that were not asked for the longest go.
    pub(crate) fn keep(&self, bytes: &[u8], limits: &Limits) -> Result<ImageView, ApiError> {
        let _lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let image = decode(bytes, limits)?;
        let sha256 = format!("{:x}", Sha256::digest(bytes));
        let path = self.folder.join(&sha256);
        if !touch(&path) {
            let keep = || {
                self.make_room((bytes.len() as u64).min(limits.max_images), limits.max_images)?;
                write_file(&path, |file| file.write_all(bytes))
            };
            keep().map_err(|error| ApiError::Failed(format!("the image cannot be kept: {error}")))?;
        }
        Ok(ImageView { sha256, width: image.width(), height: image.height() })
    }

    /// An image with its type.
    pub(crate) fn read(&self, sha256: &str) -> Option<(Vec<u8>, &'static str)> {
        let bytes = read_file(&self.path(sha256)?, u64::MAX).ok()?;
        let format = image::guess_format(&bytes).ok()?;
        let (_, kind) = FORMATS.into_iter().find(|(known, _)| *known == format)?;
        Some((bytes, kind))
    }

    /// Finds the images of a request, which names them by their hashes.
    ///
    /// # Errors
    ///
    /// Names the field whose image is not here.
    pub(crate) fn find(&self, request: &mut GenerateRequest) -> Result<(), ApiError> {
        let GenerateRequest { overrides, images, .. } = request;
        images.init_image = self.find_one("init_image", &mut overrides.init_image)?;
        images.mask = self.find_one("mask", &mut overrides.mask)?;
        Ok(())
    }

    fn find_one(&self, field: &'static str, file: &mut Option<FileRef>) -> Result<Option<PathBuf>, ApiError> {
        let Some(file) = file else { return Ok(None) };
        file.name = file.base_name().chars().take(LONGEST_NAME).collect();
        let path = file.sha256.as_deref().and_then(|sha256| self.path(sha256)).filter(|path| touch(path));
        let missing = || {
            let by_hash = file.sha256.as_deref().map_or_else(
                || " without its SHA-256".to_owned(),
                |sha256| format!(" with the SHA-256 {}", sha256.chars().take(64).collect::<String>()),
            );
            let message = format!(
                "{field} names the image '{}'{by_hash}: expected one that was brought to /api/images, by its sha256",
                file.name
            );
            ApiError::of_field(field, message)
        };
        path.map(Some).ok_or_else(missing)
    }

    /// A client's text becomes part of a path only when it is a hash.
    fn path(&self, sha256: &str) -> Option<PathBuf> {
        is_hash(sha256).then(|| self.folder.join(sha256.to_ascii_lowercase()))
    }

    /// Removes the images that were not asked for the longest, until so many bytes fit.
    fn make_room(&self, bytes: u64, most: u64) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)?.flatten() {
            let (Some(name), Ok(metadata)) = (entry.file_name().to_str().map(str::to_owned), entry.metadata()) else {
                continue;
            };
            if is_hash(&name) {
                files.push((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), metadata.len(), entry.path()));
            }
        }
        files.sort();
        let mut sum: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in files {
            if sum + bytes <= most {
                break;
            }
            fs::remove_file(path)?;
            sum -= size;
        }
        Ok(())
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Marks a file as asked for now; false when it is not there.
fn touch(path: &Path) -> bool {
    let touched = File::options().write(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
    touched.is_ok() || path.is_file()
}

/// Decodes an image within the limits, turned as its camera says.
fn decode(bytes: &[u8], limits: &Limits) -> Result<DynamicImage, ApiError> {
    let unreadable = |error: &dyn std::fmt::Display| {
        ApiError::invalid(format!("this image cannot be read ({error}): expected PNG, JPEG or WebP"))
    };
    let format = image::guess_format(bytes).map_err(|error| unreadable(&error))?;
    if !FORMATS.iter().any(|(known, _)| *known == format) {
        return Err(unreadable(&format!("{format:?}")));
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut most = image::Limits::default();
    most.max_alloc = Some(limits.max_pixels.saturating_mul(16));
    reader.limits(most);
    let mut decoder = reader.into_decoder().map_err(|error| unreadable(&error))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        let most = limits.max_pixels;
        let message = format!("this image has {width} x {height} pixels: expected at most {most} in all");
        return Err(ApiError::invalid(message));
    }
    let orientation = decoder.orientation().map_err(|error| unreadable(&error))?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| unreadable(&error))?;
    image.apply_orientation(orientation);
    Ok(image)
}

impl InputFiles {
    /// Checks the size of the picture where the request leaves it to the initial image.
    pub(crate) fn check_size(&self, request: &GenerateRequest, limits: &Limits) -> Result<(), ApiError> {
        let given = &request.overrides;
        // Of a part alone the size is the model's.
        let is_part = given.mask.is_some() && given.mask_padding.is_some();
        let is_left = !is_part && [given.width, given.height].contains(&None);
        let Some(path) = self.init_image.as_ref().filter(|_| is_left) else { return Ok(()) };
        let size = open_file(path).map_err(|error| ApiError::Failed(format!("the image cannot be read: {error}")))?;
        let size = ImageReader::new(io::BufReader::new(size)).with_guessed_format().map_err(image::ImageError::from);
        let (width, height) = size
            .and_then(ImageReader::into_dimensions)
            .map_err(|error| ApiError::Failed(format!("the image cannot be read: {error}")))?;
        if width.max(height) as usize > limits.max_side {
            let message = format!(
                "init_image has {width} x {height} pixels and no size is given: name width and height, at most {}",
                limits.max_side
            );
            return Err(ApiError::of_field("init_image", message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, shade: u8) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        image::GrayImage::from_pixel(width, 2, image::Luma([shade])).write_to(&mut file, ImageFormat::Png).unwrap();
        file.into_inner()
    }

    fn limits() -> Limits {
        Limits::default()
    }

    #[test]
    fn an_image_is_found_by_the_hash_of_its_bytes() {
        let place = tempfile::tempdir().unwrap();
        let images = Images::of_gallery(place.path());
        let bytes = png(3, 7);
        let kept = images.keep(&bytes, &limits()).unwrap();
        assert_eq!((kept.width, kept.height), (3, 2));
        assert_eq!(images.keep(&bytes, &limits()).unwrap(), kept);
        assert_eq!(images.read(&kept.sha256), Some((bytes, "image/png")));
        let mut request = GenerateRequest::default();
        let mut file = FileRef::new("C:\\mine/a.png");
        file.sha256 = Some(kept.sha256.to_uppercase());
        request.overrides.mask = Some(file);
        images.find(&mut request).unwrap();
        assert_eq!(request.overrides.mask.as_ref().unwrap().name, "a.png");
        assert!(request.images.mask.unwrap().is_file() && request.images.init_image.is_none());
    }

    #[test]
    fn what_is_not_here_is_named_and_never_a_path() {
        let place = tempfile::tempdir().unwrap();
        let images = Images::of_gallery(place.path());
        std::fs::write(place.path().join("secret"), "x").unwrap();
        let hashes = [None, Some("../secret"), Some("/etc/passwd"), Some(&"0".repeat(64)[..]), Some("é")];
        for hash in hashes {
            assert_eq!(hash.and_then(|hash| images.read(hash)), None);
            let mut request = GenerateRequest::default();
            let mut file = FileRef::new("../secret");
            file.sha256 = hash.map(str::to_owned);
            request.overrides.init_image = Some(file);
            let error = images.find(&mut request).unwrap_err().to_string();
            assert!(error.starts_with("init_image names the image 'secret' with"), "{error}");
        }
    }

    #[test]
    fn what_is_no_image_or_too_large_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let images = Images::of_gallery(place.path());
        let refused = |bytes: &[u8], limits: &Limits| images.keep(bytes, limits).unwrap_err().to_string();
        assert!(refused(b"GIF89a", &limits()).ends_with("expected PNG, JPEG or WebP"));
        let whole = png(3, 7);
        assert!(refused(&whole[..whole.len() - 20], &limits()).starts_with("this image cannot be read"));
        let few = Limits { max_pixels: 5, ..limits() };
        assert_eq!(refused(&whole, &few), "this image has 3 x 2 pixels: expected at most 5 in all");
        assert!(!place.path().join(FOLDER).exists(), "nothing is kept");
    }

    #[test]
    fn the_oldest_make_room() {
        let place = tempfile::tempdir().unwrap();
        let images = Images::of_gallery(place.path());
        let files: Vec<_> = (0..3).map(|shade| png(2, shade)).collect();
        let limits = Limits { max_images: 2 * files[0].len() as u64 + 1, ..limits() };
        let kept: Vec<_> = files[..2].iter().map(|file| images.keep(file, &limits).unwrap().sha256).collect();
        let old = SystemTime::now() - std::time::Duration::from_hours(1);
        File::options().write(true).open(images.path(&kept[1]).unwrap()).unwrap().set_modified(old).unwrap();
        images.keep(&files[2], &limits).unwrap();
        assert!(images.read(&kept[0]).is_some() && images.read(&kept[1]).is_none());
    }
}
