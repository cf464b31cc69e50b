//! The pictures that were made: a folder on disk, and nothing in memory.
//!
//! Every entry is a folder of its own that appears whole, by a rename, or not at all, so that a crash leaves nothing half
//! done. What the disk has is what the gallery lists. A favourite has one more file in its folder.

mod archive;
mod trash;
mod wanted;

use std::fs::{self, File, TryLockError};
use std::io::{self, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ae_files::{open_file, read_file, remove_unfinished, write_folder};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::images::Images;
use crate::png_text::read_settings;
use crate::{Drawn, Limits, PICTURE_NAMES, ServerError};

pub(crate) use archive::Archive;
pub(crate) use wanted::{MOST, Wanted};

/// Held while a server has the gallery.
const LOCK: &str = ".lock";
const RECORD: &str = "run.json";
const TRACE: &str = "trace.json";
/// An empty file.
const FAVOURITE: &str = "favourite";
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
    /// Whether somebody marked it.
    pub(crate) favourite: bool,
}

/// A part of the gallery or of its trash.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Listing {
    /// How many entries there are in all, wanted or not.
    total: usize,
    /// Whether there are more of those that are wanted.
    more: bool,
    /// The newest first; in the trash the last deleted first.
    entries: Vec<Entry>,
    /// Entries of this part that cannot be shown, with the reason.
    damaged: Vec<Damaged>,
}

/// An entry that cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Damaged {
    /// Its name.
    id: String,
    /// What is wrong with it.
    reason: String,
}

/// The folder of pictures.
#[derive(Debug)]
pub(crate) struct Gallery {
    folder: PathBuf,
    /// What its pictures start from.
    images: Images,
    /// The lock of the folder, while this server has it.
    lock: Mutex<same_file::Handle>,
    /// Most bytes of the settings of a picture.
    most_settings: usize,
    /// Bytes on the disk when they were counted last, with what was added since.
    bytes: AtomicU64,
}

impl Gallery {
    /// Opens a folder for this server alone, and removes what a killed one had not finished.
    pub(crate) fn open(folder: &Path, limits: &Limits) -> Result<Self, ServerError> {
        let failed = |cause| ServerError::Gallery { path: folder.to_owned(), cause };
        let lock = take_lock(folder).map_err(failed)?;
        let lock = lock.ok_or_else(|| ServerError::GalleryInUse { path: folder.to_owned() })?;
        // Tidying up is no reason not to start.
        let _ = remove_unfinished(folder);
        let most_settings = limits.max_unpacked;
        let (lock, bytes, images) = (Mutex::new(lock), AtomicU64::default(), Images::of_gallery(folder));
        let gallery = Self { folder: folder.to_owned(), images, lock, most_settings, bytes };
        gallery.tidy_trash();
        gallery.count();
        Ok(gallery)
    }

    /// What its pictures start from.
    pub(crate) fn images(&self) -> &Images {
        &self.images
    }

    /// Makes sure that the folder is still the one whose lock this server has: somebody may have put another in its place.
    fn hold(&self) -> io::Result<()> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if same_file::Handle::from_path(self.folder.join(LOCK)).is_ok_and(|found| found == *lock) {
            return Ok(());
        }
        let other = || io::Error::other("the folder was replaced, and another server has the new one");
        *lock = take_lock(&self.folder)?.ok_or_else(other)?;
        Ok(())
    }

    /// Keeps a picture; returns the name of its entry.
    pub(crate) fn add(&self, id: &str, drawn: &Drawn) -> io::Result<String> {
        self.hold()?;
        let (record, trace) = (drawn.record.to_string(), drawn.trace.to_string());
        let pictures = std::iter::once(&drawn.picture).chain(&drawn.plain).map(Vec::as_slice);
        let rest = [(RECORD, record.as_bytes()), (TRACE, trace.as_bytes())];
        let files: Vec<_> = PICTURE_NAMES.into_iter().zip(pictures).chain(rest).collect();
        let added = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        write_folder(&self.folder.join(id), files)?;
        self.bytes.fetch_add(added, Ordering::Relaxed);
        Ok(id.to_owned())
    }

    /// Bytes on the disk, not counting what others removed meanwhile.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether the gallery has less than so many bytes. Where it has not, deleted entries make room.
    pub(crate) fn has_room(&self, most: u64) -> bool {
        let makes_room = || {
            // What cannot be removed still counts.
            let _ = self.empty_trash(Duration::ZERO);
            self.count() < most
        };
        self.bytes() < most || self.count() < most || makes_room()
    }

    /// Counts the bytes on the disk anew.
    fn count(&self) -> u64 {
        let bytes = size(&self.folder);
        self.bytes.store(bytes, Ordering::Relaxed);
        bytes
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

    /// The entries that are wanted, the newest first.
    pub(crate) fn list(&self, wanted: &Wanted) -> io::Result<Listing> {
        let ids = self.ids()?;
        let may_be = ids.iter().filter(|id| wanted.may_be(id));
        let is_wanted = |found: &Result<Entry, Damaged>| found.as_ref().map_or(true, |entry| wanted.is(entry));
        let found = may_be.filter_map(|id| self.read_entry(id)).filter(is_wanted);
        Ok(Listing::of(ids.len(), wanted.limit.min(MOST), found))
    }

    /// An entry; none when there is no such name, or it cannot be shown.
    pub(crate) fn entry(&self, id: &str) -> Option<Entry> {
        self.read_entry(id)?.ok()
    }

    /// Marks an entry or takes the mark away; false when there is none.
    pub(crate) fn set_favourite(&self, id: &str, favourite: bool) -> io::Result<bool> {
        let Some(mark) = self.entry_folder(id).map(|folder| folder.join(FAVOURITE)) else { return Ok(false) };
        let done = if favourite { File::create(mark).map(drop) } else { fs::remove_file(mark) };
        match done {
            // No entry, or one that had no mark.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(self.entry(id).is_some()),
            done => done.map(|()| true),
        }
    }

    /// An entry, or what is wrong with it; none when there is no such name.
    fn read_entry(&self, id: &str) -> Option<Result<Entry, Damaged>> {
        self.read(id, &self.entry_folder(id)?)
    }

    /// The entry in a folder.
    fn read(&self, id: &str, folder: &Path) -> Option<Result<Entry, Damaged>> {
        let damaged = |reason: &dyn std::fmt::Display| Damaged { id: id.to_owned(), reason: reason.to_string() };
        let picture = match own_file(folder, PICTURE_NAMES[0]).and_then(|path| open_file(&path)) {
            Ok(file) => BufReader::new(file),
            // It was removed meanwhile.
            Err(_) if fs::symlink_metadata(folder).is_err() => return None,
            Err(error) => return Some(Err(damaged(&format!("{} cannot be read: {error}", PICTURE_NAMES[0])))),
        };
        let entry = read_settings(picture, self.most_settings).map(|info| Entry {
            id: id.to_owned(),
            created: id.split('-').next().and_then(|time| time.parse().ok()).unwrap_or_default(),
            settings: info.settings,
            width: info.width,
            height: info.height,
            plain: own_file(folder, PICTURE_NAMES[1]).is_ok(),
            favourite: own_file(folder, FAVOURITE).is_ok(),
        });
        Some(entry.map_err(|error| damaged(&error)))
    }

    /// Whether there is an entry.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.entry_folder(id).is_some_and(|folder| folder.is_dir())
    }

    /// One of the pictures of an entry, as its file.
    pub(crate) fn picture(&self, id: &str, name: &'static str) -> Option<Vec<u8>> {
        read_own(&self.entry_folder(id)?, name)
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
        serde_json::from_slice(&read_own(&self.entry_folder(id)?, name)?).ok()
    }

    /// A client's text becomes part of a path only when it is a name that the gallery gives.
    fn entry_folder(&self, id: &str) -> Option<PathBuf> {
        is_id(id).then(|| self.folder.join(id))
    }
}

impl Listing {
    fn of(total: usize, limit: usize, found: impl Iterator<Item = Result<Entry, Damaged>>) -> Self {
        let mut listing = Self { total, ..Self::default() };
        for found in found {
            if listing.entries.len() == limit || listing.damaged.len() == MOST {
                listing.more = true;
                break;
            }
            match found {
                Ok(entry) => listing.entries.push(entry),
                Err(entry) => listing.damaged.push(entry),
            }
        }
        listing
    }
}

/// Takes the lock of a folder, which is made if it is not there; none where another server has it.
fn take_lock(folder: &Path) -> io::Result<Option<same_file::Handle>> {
    fs::create_dir_all(folder)?;
    let lock = File::options().create(true).truncate(false).write(true).open(folder.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => same_file::Handle::from_file(lock).map(Some),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The path of a file of an entry, which must lie in the entry's folder itself: a link would lead out of the gallery.
fn own_file(folder: &Path, name: &str) -> io::Result<PathBuf> {
    let path = folder.join(name);
    for path in [folder, &path] {
        if fs::symlink_metadata(path)?.is_symlink() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is a link"));
        }
    }
    Ok(path)
}

fn read_own(folder: &Path, name: &str) -> Option<Vec<u8>> {
    read_file(&own_file(folder, name).ok()?, LARGEST).ok()
}

/// Bytes of all files below a folder; of what cannot be read none.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let of = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => size(&entry.path()),
        _ => entry.metadata().map_or(0, |file| file.len()),
    };
    entries.map(of).sum()
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

    pub(super) fn drawn() -> Drawn {
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
        let gallery = Gallery::open(place.path(), &Limits::default()).unwrap();
        for id in ["1700000000000-000000-000", "1700000000001-000001-000"] {
            gallery.add(id, &drawn()).unwrap();
        }
        assert_eq!(gallery.ids().unwrap(), ["1700000000001-000001-000", "1700000000000-000000-000"]);
        let entry = gallery.entry("1700000000000-000000-000").unwrap();
        assert_eq!((entry.created, entry.width, entry.height, entry.plain), (1_700_000_000_000, 2, 1, false));
        assert_eq!(entry.settings["prompt"], "ein Löwe");
        assert!(gallery.discard("1700000000000-000000-000").unwrap());
        assert!(!gallery.discard("1700000000000-000000-000").unwrap());
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
        let gallery = Gallery::open(place.path(), &Limits::default()).unwrap();
        assert!(!half.exists() && place.path().join(".ae-foreign").exists() && place.path().join("notes.txt").exists());
        assert!(gallery.ids().unwrap().is_empty());
    }

    #[test]
    fn one_server_has_the_gallery() {
        let place = tempfile::tempdir().unwrap();
        let _gallery = Gallery::open(place.path(), &Limits::default()).unwrap();
        let second = Gallery::open(place.path(), &Limits::default()).unwrap_err();
        assert!(matches!(second, ServerError::GalleryInUse { .. }), "{second}");
    }

    #[cfg(unix)]
    #[test]
    fn the_lock_follows_the_folder() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("gallery");
        let open = || Gallery::open(&folder, &Limits::default());
        let first = open().unwrap();
        fs::remove_dir_all(&folder).unwrap();
        first.add("1700000000000-000000-000", &drawn()).unwrap();
        assert!(matches!(open().unwrap_err(), ServerError::GalleryInUse { .. }));
        fs::remove_dir_all(&folder).unwrap();
        let second = open().unwrap();
        let error = first.add("1700000000000-000000-001", &drawn()).unwrap_err().to_string();
        assert!(error.contains("another server has the new one"), "{error}");
        second.add("1700000000000-000000-002", &drawn()).unwrap();
        assert_eq!(second.ids().unwrap(), ["1700000000000-000000-002"]);
    }

    #[test]
    fn what_is_on_the_disk_is_counted() {
        let place = tempfile::tempdir().unwrap();
        let gallery = Gallery::open(place.path(), &Limits::default()).unwrap();
        gallery.add("1700000000000-000000-000", &drawn()).unwrap();
        let bytes = gallery.bytes();
        assert_eq!(bytes, size(place.path()));
        assert!(gallery.has_room(bytes + 1) && !gallery.has_room(bytes));
        // What was removed makes room.
        gallery.discard("1700000000000-000000-000").unwrap();
        assert!(gallery.has_room(bytes));
    }

    #[test]
    fn no_other_name_becomes_a_path() {
        for name in ["", "..", ".lock", "../../etc/passwd", "1700000000000-000000-00/", "170000000000٠-000000-000"] {
            assert!(!is_id(name), "{name}");
        }
    }
}
