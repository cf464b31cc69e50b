//! The pictures that were made: a folder on disk, and nothing in memory.
//!
//! Every entry is a folder of its own that appears whole, by a rename, or not at all, so that a crash leaves nothing half
//! done. What the disk has is what the gallery lists.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use ae_files::{open_file, read_file, remove_folder, remove_unfinished, write_folder};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::images::Images;
use crate::png_text::read_settings;
use crate::{Drawn, PICTURE_NAMES, ServerError};

/// Held while a server has the gallery.
const LOCK: &str = ".lock";
const RECORD: &str = "run.json";
const TRACE: &str = "trace.json";
/// Bytes of a file of an entry, far above any picture or record that is made here.
const LARGEST: u64 = 256 << 20;

/// A picture of the gallery.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Entry {
    /// Its name.
    id: String,
    /// When its job was accepted, in milliseconds since 1970.
    created: u64,
    /// How it was made.
    #[schema(value_type = Object)]
    pub(crate) settings: Value,
    /// Width in pixels.
    width: u32,
    /// Height in pixels.
    height: u32,
    /// Whether there is a plain picture beside it.
    pub(crate) plain: bool,
}

/// The folder of pictures.
#[derive(Debug)]
pub(crate) struct Gallery {
    folder: PathBuf,
    /// What its pictures start from.
    images: Images,
    /// Kept for its lock.
    _lock: File,
}

impl Gallery {
    /// Opens a folder for this server alone, and removes what a killed one had not finished.
    pub(crate) fn open(folder: &Path) -> Result<Self, ServerError> {
        let failed = |cause| ServerError::Gallery { path: folder.to_owned(), cause };
        fs::create_dir_all(folder).map_err(failed)?;
        let lock = File::options().create(true).truncate(false).write(true).open(folder.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ServerError::GalleryInUse { path: folder.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Tidying up is no reason not to start.
        let _ = remove_unfinished(folder);
        Ok(Self { folder: folder.to_owned(), images: Images::of_gallery(folder), _lock: lock })
    }

    /// What its pictures start from.
    pub(crate) fn images(&self) -> &Images {
        &self.images
    }

    /// Keeps a picture; returns the name of its entry.
    pub(crate) fn add(&self, id: &str, drawn: &Drawn) -> io::Result<String> {
        let (record, trace) = (drawn.record.to_string(), drawn.trace.to_string());
        let pictures = std::iter::once(&drawn.picture).chain(&drawn.plain).map(Vec::as_slice);
        let rest = [(RECORD, record.as_bytes()), (TRACE, trace.as_bytes())];
        write_folder(&self.folder.join(id), PICTURE_NAMES.into_iter().zip(pictures).chain(rest))?;
        Ok(id.to_owned())
    }

    /// The names of all entries, the newest first.
    pub(crate) fn ids(&self) -> io::Result<Vec<String>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            ids.extend(name.to_str().filter(|name| is_id(name)).map(str::to_owned));
        }
        ids.sort_unstable_by(|one, other| other.cmp(one));
        Ok(ids)
    }

    /// An entry; none when there is no such name, or somebody removed its picture.
    pub(crate) fn entry(&self, id: &str) -> Option<Entry> {
        let folder = self.entry_folder(id)?;
        let picture = BufReader::new(open_file(&folder.join(PICTURE_NAMES[0])).ok()?);
        let info = read_settings(picture).ok()?;
        Some(Entry {
            id: id.to_owned(),
            created: id.split('-').next()?.parse().ok()?,
            settings: info.settings,
            width: info.width,
            height: info.height,
            plain: folder.join(PICTURE_NAMES[1]).exists(),
        })
    }

    /// One of the pictures of an entry, as its file.
    pub(crate) fn picture(&self, id: &str, name: &'static str) -> Option<Vec<u8>> {
        read_file(&self.entry_folder(id)?.join(name), LARGEST).ok()
    }

    /// The run of an entry as JSON.
    pub(crate) fn record(&self, id: &str) -> Option<Value> {
        self.json(id, RECORD)
    }

    /// Losses, refinement and times of an entry as JSON.
    pub(crate) fn trace(&self, id: &str) -> Option<Value> {
        self.json(id, TRACE)
    }

    fn json(&self, id: &str, name: &str) -> Option<Value> {
        serde_json::from_slice(&read_file(&self.entry_folder(id)?.join(name), LARGEST).ok()?).ok()
    }

    /// Removes an entry; false when there is none.
    pub(crate) fn remove(&self, id: &str) -> io::Result<bool> {
        self.entry_folder(id).map_or(Ok(false), |folder| remove_folder(&folder))
    }

    /// A client's text becomes part of a path only when it is a name that the gallery gives.
    fn entry_folder(&self, id: &str) -> Option<PathBuf> {
        is_id(id).then(|| self.folder.join(id))
    }
}

/// Whether a text is as the names of entries: milliseconds, the job's number, the picture's number.
fn is_id(text: &str) -> bool {
    let digits = |part: &str, count| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<_> = text.split('-').collect();
    matches!(parts[..], [time, job, picture] if digits(time, 13) && digits(job, 6) && digits(picture, 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn() -> Drawn {
        let mut picture = Vec::new();
        let mut encoder = png::Encoder::new(&mut picture, 2, 1);
        encoder.set_color(png::ColorType::Rgb);
        encoder.add_itxt_chunk("settings".to_owned(), r#"{"prompt":"ein Löwe"}"#.to_owned()).unwrap();
        encoder.write_header().unwrap().write_image_data(&[0; 6]).unwrap();
        Drawn { picture, plain: None, record: Value::from("record"), trace: Value::from("trace") }
    }

    #[test]
    fn an_entry_comes_back_and_goes() {
        let place = tempfile::tempdir().unwrap();
        let gallery = Gallery::open(place.path()).unwrap();
        for id in ["1700000000000-000000-000", "1700000000001-000001-000"] {
            gallery.add(id, &drawn()).unwrap();
        }
        assert_eq!(gallery.ids().unwrap(), ["1700000000001-000001-000", "1700000000000-000000-000"]);
        let entry = gallery.entry("1700000000000-000000-000").unwrap();
        assert_eq!((entry.created, entry.width, entry.height, entry.plain), (1_700_000_000_000, 2, 1, false));
        assert_eq!(entry.settings["prompt"], "ein Löwe");
        assert!(gallery.remove("1700000000000-000000-000").unwrap());
        assert!(!gallery.remove("1700000000000-000000-000").unwrap());
        assert_eq!(gallery.ids().unwrap(), ["1700000000001-000001-000"]);
    }

    #[test]
    fn what_was_not_finished_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let half = place.path().join(".ae-unfinished-halfhalfhalf");
        fs::create_dir(&half).unwrap();
        fs::write(half.join("picture.png"), "").unwrap();
        fs::write(place.path().join(".ae-foreign"), "mine").unwrap();
        fs::write(place.path().join("notes.txt"), "mine").unwrap();
        let gallery = Gallery::open(place.path()).unwrap();
        assert!(!half.exists() && place.path().join(".ae-foreign").exists() && place.path().join("notes.txt").exists());
        assert!(gallery.ids().unwrap().is_empty());
    }

    #[test]
    fn one_server_has_the_gallery() {
        let place = tempfile::tempdir().unwrap();
        let _gallery = Gallery::open(place.path()).unwrap();
        let second = Gallery::open(place.path()).unwrap_err();
        assert!(matches!(second, ServerError::GalleryInUse { .. }), "{second}");
    }

    #[test]
    fn no_other_name_becomes_a_path() {
        for name in ["", "..", ".lock", "../../etc/passwd", "1700000000000-000000-00/", "170000000000٠-000000-000"] {
            assert!(!is_id(name), "{name}");
        }
    }
}
