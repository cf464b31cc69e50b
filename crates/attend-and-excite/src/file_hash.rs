//! SHA-256 of files, computed once.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::user_folders;

/// A file that changed so recently may change again within one tick of the file system's clock: its hash is not kept.
const SETTLED: Duration = Duration::from_secs(2);

/// The hashes of files, with those that are kept in a folder.
///
/// A hash is kept by path, size and time of modification. A folder that cannot be read or written, and what is damaged in it,
/// costs time and nothing else; several processes may use it at once.
#[derive(Clone, Debug, Default)]
pub struct FileHashes {
    folder: Option<PathBuf>,
}

/// What of a file is hashed.
#[derive(Clone, Copy)]
enum Part {
    Whole,
    /// The tensors of a safetensors file, without its header: what AUTOMATIC1111's program calls the hash of a LoRA.
    Tensors,
}

/// What is kept of a file.
#[derive(PartialEq, Serialize, Deserialize)]
struct Entry {
    size: u64,
    /// Since 1970.
    modified: Duration,
    sha256: String,
}

impl FileHashes {
    /// Hashes that are kept in a folder, which need not exist.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()) }
    }

    /// Hashes that are kept in the user's cache: `attend-and-excite-rs/hashes` in `$XDG_CACHE_HOME` or `~/.cache`. Without a home
    /// folder nothing is kept.
    pub fn from_env() -> Self {
        Self { folder: user_folders::cache("hashes") }
    }

    /// The SHA-256 of a whole file, in 64 hexadecimal digits.
    ///
    /// A file of the Hugging Face hub's cache is not read: its content is stored under its hash.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn sha256(&self, path: &Path) -> io::Result<String> {
        let path = path.canonicalize()?;
        if let Some(blob) = hub_blob(&path) {
            return Ok(blob);
        }
        self.kept(&path, Part::Whole)
    }

    /// The names that AUTOMATIC1111's program and its kin have for a file's content: the first ten digits of its SHA-256, the eight of
    /// its first versions, and of a safetensors file the twelve of its tensors, by which LoRAs are known.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn short_hashes(&self, path: &Path) -> io::Result<Vec<(&'static str, String)>> {
        let mut short = self.sha256(path)?;
        short.truncate(10);
        let mut hashes = vec![("a1111", short), ("a1111_old", old_hash(path)?)];
        if is_safetensors(path)
            && let Ok(mut tensors) = self.kept(&path.canonicalize()?, Part::Tensors)
        {
            tensors.truncate(12);
            hashes.push(("a1111_tensors", tensors));
        }
        Ok(hashes)
    }

    /// Compares a file with a hash: 64 digits, or fewer as AUTOMATIC1111's program writes them. Those are the first of the whole
    /// file's or of its tensors' SHA-256; 8 digits are those of 64 KiB in its middle, as the program's first versions had them.
    ///
    /// None is equal; otherwise the hash that the file has instead.
    pub(crate) fn differs(&self, path: &Path, hash: &str) -> io::Result<Option<String>> {
        let hash = hash.to_lowercase();
        let mut found = if hash.len() == 8 { old_hash(path)? } else { self.sha256(path)? };
        let may_be_of_tensors = (9..64).contains(&hash.len()) && is_safetensors(path);
        let is_equal = found.starts_with(&hash)
            // A file without such a header has no such hash.
            || may_be_of_tensors && self.kept(&path.canonicalize()?, Part::Tensors).is_ok_and(|of| of.starts_with(&hash));
        found.truncate(hash.len());
        Ok((!is_equal).then_some(found))
    }

    fn kept(&self, path: &Path, part: Part) -> io::Result<String> {
        let file = ae_files::open_file(path)?;
        let entry = |sha256| {
            let metadata = file.metadata()?;
            let modified = metadata.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            io::Result::Ok(Entry { size: metadata.len(), modified, sha256 })
        };
        let before = entry(String::new())?;
        let place = self.folder.as_ref().map(|folder| folder.join(place(path, part)));
        if let Some(kept) = place.as_deref().and_then(read_entry)
            && (kept.size, kept.modified) == (before.size, before.modified)
        {
            return Ok(kept.sha256);
        }
        let start = match part {
            Part::Whole => 0,
            Part::Tensors => safetensors_header(&file)?,
        };
        (&file).seek(SeekFrom::Start(start))?;
        let sha256 = hash(&file)?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let after = entry(sha256.clone())?;
        if let Some(place) = place
            && (after.size, after.modified) == (before.size, before.modified)
            && after.modified + SETTLED < now
        {
            // Without it the file is read again.
            let _ = write_entry(&place, &after);
        }
        Ok(sha256)
    }
}

/// The SHA-256 of a whole file, kept in the user's cache; see [`FileHashes::sha256`].
///
/// # Errors
///
/// The file cannot be read.
pub fn sha256(path: &Path) -> io::Result<String> {
    FileHashes::from_env().sha256(path)
}

/// The hashes of files, computed in a thread beside a run.
#[derive(Debug)]
pub struct HashesInBackground(LazyLock<Hashes, Box<dyn FnOnce() -> Hashes + Send>>);

type Hashes = io::Result<Vec<String>>;

impl HashesInBackground {
    /// Begins to compute the hashes of some files.
    pub fn start(hashes: FileHashes, paths: Vec<PathBuf>) -> Self {
        let sha256 = move |path: &PathBuf| {
            let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
            hashes.sha256(path).map_err(named)
        };
        let thread = std::thread::spawn(move || paths.iter().map(sha256).collect());
        Self(LazyLock::new(Box::new(|| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))))
    }

    /// Waits for the hashes, which are in the order of the paths.
    ///
    /// # Errors
    ///
    /// The first file that cannot be read.
    ///
    /// # Panics
    ///
    /// When the thread did.
    pub fn wait(&self) -> Result<&[String], &io::Error> {
        self.0.as_ref().map(Vec::as_slice)
    }
}

/// The SHA-256 in the name of a file of the hub's cache. Files in Git itself have the 40 digits of a SHA-1.
fn hub_blob(path: &Path) -> Option<String> {
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let blobs = path.parent().filter(|folder| name(folder).as_deref() == Some("blobs"))?;
    let is_model = name(blobs.parent()?)?.starts_with("models--");
    name(path).filter(|name| is_model && is_sha256(name))
}

/// Whether a text is a SHA-256 as it is kept.
fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Where the hash of a file is kept: one file each, so that processes do not lose each other's.
fn place(path: &Path, part: Part) -> String {
    let end = match part {
        Part::Whole => "json",
        Part::Tensors => "tensors.json",
    };
    format!("{:x}.{end}", Sha256::digest(path.as_os_str().as_encoded_bytes()))
}

fn read_entry(place: &Path) -> Option<Entry> {
    serde_json::from_slice(&ae_files::read_file(place, 1 << 16).ok()?)
        .ok()
        .filter(|entry: &Entry| is_sha256(&entry.sha256))
}

fn write_entry(place: &Path, entry: &Entry) -> io::Result<()> {
    ae_files::write_file(place, |file| Ok(serde_json::to_writer(file, entry)?))
}

fn hash(file: impl Read) -> io::Result<String> {
    let mut sha256 = Sha256::new();
    io::copy(&mut BufReader::with_capacity(1 << 20, file), &mut sha256)?;
    Ok(format!("{:x}", sha256.finalize()))
}

/// The hash of a file in the first versions of AUTOMATIC1111's program.
fn old_hash(path: &Path) -> io::Result<String> {
    let mut file = ae_files::open_file(path)?;
    file.seek(SeekFrom::Start(1 << 20))?;
    let mut sha256 = hash(file.take(1 << 16))?;
    sha256.truncate(8);
    Ok(sha256)
}

fn is_safetensors(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("safetensors"))
}

/// The bytes before the tensors of a safetensors file.
fn safetensors_header(mut file: &File) -> io::Result<u64> {
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    Ok(u64::from_le_bytes(length).saturating_add(8))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use super::*;

    /// A file that has not changed for an hour.
    pub(crate) fn old_file(path: &Path, content: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        set_modified(path, SystemTime::now() - Duration::from_hours(1));
    }

    fn set_modified(path: &Path, time: SystemTime) {
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    pub(crate) fn digest(content: &[u8]) -> String {
        format!("{:x}", Sha256::digest(content))
    }

    struct Place {
        folder: tempfile::TempDir,
        hashes: FileHashes,
        file: PathBuf,
    }

    fn place() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let (hashes, file) = (FileHashes::new(folder.path().join("cache/hashes")), folder.path().join("a.safetensors"));
        Place { folder, hashes, file }
    }

    fn kept(place: &Place) -> Vec<PathBuf> {
        let entries = fs::read_dir(place.folder.path().join("cache/hashes")).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn the_hash_is_that_of_sha256sum() {
        let place = place();
        old_file(&place.file, b"abc");
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(place.hashes.sha256(&place.file).unwrap(), expected);
        // More than one buffer.
        let content = vec![7; (1 << 20) + 1];
        old_file(&place.file, &content);
        assert_eq!(place.hashes.sha256(&place.file).unwrap(), digest(&content));
        assert_eq!(FileHashes::default().sha256(&place.file).unwrap(), digest(&content));
        assert!(place.hashes.sha256(&place.folder.path().join("none")).is_err());
    }

    #[test]
    fn a_file_is_read_once_until_it_changes() {
        let place = place();
        old_file(&place.file, b"one");
        let modified = fs::metadata(&place.file).unwrap().modified().unwrap();
        assert_eq!(place.hashes.sha256(&place.file).unwrap(), digest(b"one"));
        assert_eq!(kept(&place).len(), 1);
        // Other content of the same size and time: whoever reads it would notice.
        fs::write(&place.file, b"two").unwrap();
        set_modified(&place.file, modified);
        assert_eq!(place.hashes.sha256(&place.file).unwrap(), digest(b"one"));
        set_modified(&place.file, modified + Duration::from_millis(1));
        assert_eq!(place.hashes.sha256(&place.file).unwrap(), digest(b"two"));
        old_file(&place.file, b"three");
        set_modified(&place.file, modified + Duration::from_millis(1));
        assert_eq!(place.hashes.sha256(&place.file).unwrap(), digest(b"three"));
        assert_eq!(kept(&place).len(), 1);
    }

    #[test]
    fn the_hash_of_a_file_that_changes_just_now_is_not_kept() {
        let place = place();
        fs::write(&place.file, b"one").unwrap();
        assert_eq!(place.hashes.sha256(&place.file).unwrap(), digest(b"one"));
        assert!(kept(&place).is_empty());
    }

    #[test]
    fn what_is_damaged_is_written_anew() {
        let place = place();
        old_file(&place.file, b"one");
        place.hashes.sha256(&place.file).unwrap();
        let [entry] = &kept(&place)[..] else { panic!("one file") };
        let whole = fs::read(entry).unwrap();
        let wrong = String::from_utf8(whole.clone()).unwrap().replace(&digest(b"one"), "../../x");
        for damaged in [&b""[..], b"{", &whole[..40], wrong.as_bytes(), b"\xff"] {
            fs::write(entry, damaged).unwrap();
            assert_eq!(place.hashes.sha256(&place.file).unwrap(), digest(b"one"));
            assert_eq!(fs::read(entry).unwrap(), whole);
        }
    }

    #[test]
    fn a_cache_that_cannot_be_written_costs_time_alone() {
        let place = place();
        old_file(&place.file, b"one");
        let hashes = FileHashes::new(place.file.join("no/folder"));
        assert_eq!(hashes.sha256(&place.file).unwrap(), digest(b"one"));
    }

    #[test]
    fn several_at_once_lose_nothing() {
        let place = place();
        let files: Vec<_> = (0..8).map(|index| place.folder.path().join(format!("{index}.pt"))).collect();
        for file in &files {
            old_file(file, file.as_os_str().as_encoded_bytes());
        }
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| files.iter().for_each(|file| drop(place.hashes.sha256(file).unwrap())));
            }
        });
        assert_eq!(kept(&place).len(), 8);
        for file in &files {
            assert_eq!(place.hashes.sha256(file).unwrap(), digest(file.as_os_str().as_encoded_bytes()));
        }
    }

    #[cfg(unix)]
    #[test]
    fn files_of_the_hub_are_not_read() {
        let place = place();
        let repo = place.folder.path().join("models--org--name");
        let snapshot = repo.join("snapshots/0123/unet");
        fs::create_dir_all(&snapshot).unwrap();
        let (named, other) = ("0123456789abcdef".repeat(4), "0123456789abcdef01234567".to_owned() + "0123456789abcdef");
        for (link, blob) in [("large", &named), ("small", &other)] {
            old_file(&repo.join("blobs").join(blob), b"x");
            std::os::unix::fs::symlink(Path::new("../../../blobs").join(blob), snapshot.join(link)).unwrap();
        }
        assert_eq!(place.hashes.sha256(&snapshot.join("large")).unwrap(), named);
        assert_eq!(place.hashes.sha256(&snapshot.join("small")).unwrap(), digest(b"x"));
        // The same names elsewhere are those of other files.
        let elsewhere = place.folder.path().join("mine/blobs").join(&named);
        old_file(&elsewhere, b"x");
        assert_eq!(place.hashes.sha256(&elsewhere).unwrap(), digest(b"x"));
    }

    #[test]
    fn short_hashes_are_those_of_other_programs() {
        let place = place();
        let tensors = b"0123456789";
        let header = b"{}";
        let content = [&2_u64.to_le_bytes()[..], header, tensors].concat();
        old_file(&place.file, &content);
        let (whole, of_tensors) = (digest(&content), digest(tensors));
        let differs = |hash: &str| place.hashes.differs(&place.file, hash).unwrap();
        for hash in [&whole[..], &whole[..10], &whole[..12], &of_tensors[..12], &whole.to_uppercase()[..10]] {
            assert_eq!(differs(hash), None, "{hash}");
        }
        assert_eq!(differs(&of_tensors), Some(whole.clone()));
        assert_eq!(differs("0123456789"), Some(whole[..10].to_owned()));
        assert_eq!(kept(&place).len(), 2);

        let middle = vec![1; 1 << 16];
        let large = [&vec![0; 1 << 20], &middle[..], &[2]].concat();
        old_file(&place.file, &large);
        assert_eq!(differs(&digest(&middle)[..8]), None);
        assert_eq!(differs("01234567"), Some(digest(&middle)[..8].to_owned()));
        // Not a header of anything.
        assert_eq!(differs("0123456789ab"), Some(digest(&large)[..12].to_owned()));
        old_file(&place.file, b"x");
        assert_eq!(differs("0123456789ab"), Some(digest(b"x")[..12].to_owned()));
    }

    #[test]
    fn hashes_are_computed_beside_a_run() {
        let place = place();
        let other = place.folder.path().join("b.pt");
        old_file(&place.file, b"one");
        old_file(&other, b"two");
        let hashes = HashesInBackground::start(place.hashes.clone(), vec![other, place.file.clone()]);
        for _ in 0..2 {
            assert_eq!(hashes.wait().unwrap(), [digest(b"two"), digest(b"one")]);
        }
        let missing = HashesInBackground::start(place.hashes, vec![place.file, PathBuf::from("none.pt")]);
        assert!(missing.wait().unwrap_err().to_string().starts_with("none.pt: "));
    }
}
