//! The files that settings name, found by their content or their name.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

#[cfg(feature = "hub")]
use ae_hub::{Hub, HubError};
use ae_settings::{FileRef, WEIGHTS_ENDINGS};

use crate::FileHashes;

/// How deep folders are searched.
const MAX_DEPTH: usize = 8;
/// How many files and folders are looked at.
const MAX_ENTRIES: usize = 100_000;
/// What makes a folder a model in diffusers' layout.
const MODEL_INDEX: &str = "model_index.json";
/// The endings of pictures. A name without any of the known endings, of weights or pictures, is a name without its ending, as in
/// AUTOMATIC1111's texts.
const PICTURES: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

/// The folders in which files are looked for, in their order.
#[derive(Clone, Debug, Default)]
pub struct FileSearch {
    /// With how deep each is searched.
    folders: Vec<(PathBuf, usize)>,
    hashes: FileHashes,
}

/// A file that settings name and that is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileSearchError {
    /// No file of this content, nor of this name.
    #[error("there is no file '{}'{} in {folders}", shown(name), of_hash(sha256.as_deref()))]
    Missing {
        /// The name in the settings.
        name: String,
        /// The hash in the settings.
        sha256: Option<String>,
        /// The folders that were searched, in words.
        folders: String,
    },
    /// A file of this name, and none of this content.
    #[error("'{path}' is not the file that the settings name: its SHA-256 is {found}, expected {expected}", path = path.display())]
    Different {
        /// The file of the right name.
        path: PathBuf,
        /// Its hash, as many digits as are expected.
        found: String,
        /// The hash in the settings.
        expected: String,
    },
    /// A name or a hash that no file has.
    #[error("the settings name the file '{}'{}: expected {expected}", shown(name), of_hash(sha256.as_deref()))]
    Invalid {
        /// The name in the settings.
        name: String,
        /// The hash in the settings.
        sha256: Option<String>,
        /// What was expected.
        expected: &'static str,
    },
    /// A file of the right name cannot be read.
    #[error("cannot read '{path}': {error}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

fn of_hash(sha256: Option<&str>) -> String {
    sha256.map_or_else(String::new, |sha256| format!(" with the SHA-256 {}", shown(sha256)))
}

/// The beginning of a text of unknown origin, without control characters.
fn shown(text: &str) -> String {
    text.chars().take(120).flat_map(char::escape_debug).collect()
}

impl FileSearch {
    /// A search of folders and the folders in them. One that does not exist is empty.
    pub fn new<P: Into<PathBuf>>(folders: impl IntoIterator<Item = P>) -> Self {
        let folders = folders.into_iter().map(|folder| (folder.into(), MAX_DEPTH)).collect();
        Self { folders, hashes: FileHashes::from_env() }
    }

    /// Keeps the hashes of files in another place.
    #[must_use]
    pub fn with_hashes(self, hashes: FileHashes) -> Self {
        Self { hashes, ..self }
    }

    /// Searches a folder too, without the folders in it, such as the current one.
    #[must_use]
    pub fn with_flat_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folders.push((folder.into(), 0));
        self
    }

    /// Searches the models in the cache of the Hugging Face hub too.
    ///
    /// # Errors
    ///
    /// The cache is there but cannot be read.
    #[cfg(feature = "hub")]
    pub fn with_hub_cache(mut self, hub: &Hub) -> Result<Self, HubError> {
        self.folders.extend(hub.cached()?.into_iter().map(|model| (model.folder, MAX_DEPTH)));
        Ok(self)
    }

    /// True where a name ends as files with weights do.
    pub(crate) fn is_file_of_weights(name: &str) -> bool {
        !Wanted::of(name).is_stem
    }

    /// Finds a file: that whose hash is the given one, whatever its name; without a hash, the first of the given name.
    ///
    /// A hash may be short, as AUTOMATIC1111's program writes it, and a name without its ending. Folders in the name do not count.
    /// Files of the right name are hashed first; the others with its ending only if their hash is known.
    ///
    /// # Errors
    ///
    /// [`FileSearchError`] names the file and why there is none.
    pub fn find(&self, file: &FileRef) -> Result<PathBuf, FileSearchError> {
        let expected = checked_hash(file)?;
        let wanted = Wanted::of(file.base_name());
        if wanted.name.is_empty() {
            return Err(invalid(file, "a name"));
        }
        let listing = self.list(MAX_ENTRIES);
        let (named, others): (Vec<_>, Vec<_>) =
            listing.files.iter().filter(|path| wanted.has_ending(path)).partition(|path| wanted.is_name_of(path));
        let Some(expected) = expected else {
            return named.first().map(|path| (*path).clone()).ok_or_else(|| self.missing(file, &listing));
        };
        let mut different = None;
        for path in named {
            match self.difference(path, expected)? {
                None => return Ok(path.clone()),
                Some(error) => different = different.or(Some(error)),
            }
        }
        // Of another name: one that cannot be read is not looked for.
        let is_it = |path: &&PathBuf| matches!(self.hashes.differs(path, expected), Ok(None));
        if let Some(path) = others.into_iter().find(is_it) {
            return Ok(path.clone());
        }
        Err(different.unwrap_or_else(|| self.missing(file, &listing)))
    }

    /// Finds a model by its files with weights: one file, or the folder in diffusers' layout in which they have their names, such
    /// as `unet/diffusion_pytorch_model.safetensors`.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find); of a folder the first file that differs is named.
    pub fn find_model(&self, files: &[FileRef]) -> Result<PathBuf, FileSearchError> {
        let first = match files {
            [] => return Err(invalid(&FileRef::new(""), "the files of a model")),
            [file] if !file.name.contains('/') => return self.find(file),
            [first, ..] => first,
        };
        for file in files {
            checked_hash(file)?;
            let mut parts = Path::new(&file.name).components();
            if file.name.is_empty() || !parts.all(|part| matches!(part, Component::Normal(_))) {
                return Err(invalid(file, "a path in the folder of the model"));
            }
        }
        let listing = self.list(MAX_ENTRIES);
        let indices = listing.files.iter().filter(|path| path.file_name() == Some(OsStr::new(MODEL_INDEX)));
        let folders = indices.filter_map(|index| index.parent());
        let mut different = None;
        for folder in folders.filter(|folder| files.iter().all(|file| folder.join(&file.name).is_file())) {
            let hashed = files.iter().filter_map(|file| Some((folder.join(&file.name), file.sha256.as_ref()?)));
            let mut differences = hashed.map(|(path, expected)| self.difference(&path, expected));
            match differences.find_map(Result::transpose).transpose()? {
                None => return Ok(folder.to_owned()),
                Some(error) => different = different.or(Some(error)),
            }
        }
        Err(different.unwrap_or_else(|| self.missing(first, &listing)))
    }

    /// The files of weights, a folder's in the order of their names.
    pub(crate) fn weights(&self) -> Vec<PathBuf> {
        let ends = |path: &PathBuf| {
            let own = path.extension().unwrap_or_default();
            WEIGHTS_ENDINGS.iter().any(|ending| own.eq_ignore_ascii_case(ending))
        };
        self.list(MAX_ENTRIES).files.into_iter().filter(ends).collect()
    }

    /// What may be models: the folders in diffusers' layout, and the files of weights that are in none of them.
    #[cfg(feature = "studio")]
    pub(crate) fn models(&self) -> Vec<PathBuf> {
        let listing = self.list(MAX_ENTRIES).files;
        let indices = listing.iter().filter(|path| path.file_name() == Some(OsStr::new(MODEL_INDEX)));
        let folders: Vec<PathBuf> = indices.filter_map(|index| Some(index.parent()?.to_owned())).collect();
        let files = self.weights().into_iter().filter(|path| !folders.iter().any(|folder| path.starts_with(folder)));
        let files: Vec<_> = files.collect();
        folders.into_iter().chain(files).collect()
    }

    /// What tells a file from that of a hash, if they differ.
    fn difference(&self, path: &Path, expected: &str) -> Result<Option<FileSearchError>, FileSearchError> {
        let path = path.to_owned();
        match self.hashes.differs(&path, expected) {
            Ok(found) => {
                Ok(found.map(|found| FileSearchError::Different { path, found, expected: expected.to_owned() }))
            }
            Err(error) => Err(FileSearchError::Read { path, error }),
        }
    }

    fn missing(&self, file: &FileRef, listing: &Listing) -> FileSearchError {
        let folders: Vec<_> = self.folders.iter().map(|(folder, _)| format!("'{}'", folder.display())).collect();
        let mut folders = if folders.is_empty() { "no folder".to_owned() } else { folders.join(", ") };
        if listing.is_cut {
            folders = format!("{folders} (only the first {MAX_ENTRIES} files were looked at)");
        }
        FileSearchError::Missing { name: file.name.clone(), sha256: file.sha256.clone(), folders }
    }

    /// The files in the folders, each once, a folder's in the order of their names.
    fn list(&self, most: usize) -> Listing {
        let mut listing = Listing { files: Vec::new(), seen: BTreeSet::new(), left: most, is_cut: false };
        for (folder, depth) in &self.folders {
            listing.add(folder, *depth);
        }
        listing
    }
}

struct Listing {
    files: Vec<PathBuf>,
    /// Files and folders by where they are in truth: a linked folder may contain itself.
    seen: BTreeSet<PathBuf>,
    left: usize,
    is_cut: bool,
}

impl Listing {
    fn add(&mut self, folder: &Path, depth: usize) {
        if !folder.canonicalize().is_ok_and(|folder| self.seen.insert(folder)) {
            return;
        }
        let Ok(entries) = fs::read_dir(folder) else { return };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).take(self.left + 1).collect();
        self.is_cut |= paths.len() > self.left;
        paths.truncate(self.left);
        self.left -= paths.len();
        paths.sort();
        let (folders, files): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.is_dir());
        let files = files.into_iter().filter(|path| path.is_file());
        self.files.extend(files.filter(|path| path.canonicalize().is_ok_and(|path| self.seen.insert(path))));
        for folder in folders.iter().filter(|_| depth > 0) {
            self.add(folder, depth - 1);
        }
    }
}

/// The name of a file and the endings that it may have.
struct Wanted<'a> {
    name: &'a str,
    /// None where the name has its ending.
    is_stem: bool,
    endings: Vec<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(name: &'a str) -> Self {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending);
        let is_known =
            |ending: &&str| WEIGHTS_ENDINGS.iter().chain(&PICTURES).any(|known| known.eq_ignore_ascii_case(ending));
        match ending.filter(is_known) {
            Some(ending) => Self { name, is_stem: false, endings: vec![ending] },
            None => Self { name, is_stem: true, endings: WEIGHTS_ENDINGS.to_vec() },
        }
    }

    fn has_ending(&self, path: &Path) -> bool {
        path.extension().is_some_and(|own| self.endings.iter().any(|ending| own.eq_ignore_ascii_case(ending)))
    }

    fn is_name_of(&self, path: &Path) -> bool {
        let own = if self.is_stem { path.file_stem() } else { path.file_name() };
        own == Some(OsStr::new(self.name))
    }
}

/// The hash of a reference, which may be short.
fn checked_hash(file: &FileRef) -> Result<Option<&str>, FileSearchError> {
    let Some(hash) = file.sha256.as_deref() else { return Ok(None) };
    let is_hash = (8..=64).contains(&hash.len()) && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { Ok(Some(hash)) } else { Err(invalid(file, "8 to 64 hexadecimal digits")) }
}

fn invalid(file: &FileRef, expected: &'static str) -> FileSearchError {
    FileSearchError::Invalid { name: file.name.clone(), sha256: file.sha256.clone(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_hash::tests::{digest, old_file};

    struct Place {
        folder: tempfile::TempDir,
        search: FileSearch,
    }

    /// Folders `a` and `b`, which are searched in this order, with files.
    fn place(files: &[(&str, &[u8])]) -> Place {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in files {
            old_file(&folder.path().join(path), content);
        }
        let search = FileSearch::new(["a", "b"].map(|name| folder.path().join(name)));
        let search = search.with_hashes(FileHashes::new(folder.path().join("cache")));
        Place { folder, search }
    }

    fn named(name: &str, content: Option<&[u8]>) -> FileRef {
        let mut file = FileRef::new(name);
        file.sha256 = content.map(digest);
        file
    }

    impl Place {
        fn find(&self, file: &FileRef) -> Result<String, FileSearchError> {
            self.search.find(file).map(|path| self.relative(&path))
        }

        fn relative(&self, path: &Path) -> String {
            path.strip_prefix(self.folder.path()).unwrap().to_str().unwrap().to_owned()
        }
    }

    #[test]
    fn a_file_is_found_by_its_content_whatever_its_name() {
        let place = place(&[
            ("a/ink.safetensors", b"other"),
            ("b/deep/deeper/renamed.safetensors", b"ink"),
            ("b/ink.txt", b"ink"),
        ]);
        let found = place.find(&named("ink.safetensors", Some(b"ink"))).unwrap();
        assert_eq!(found, "b/deep/deeper/renamed.safetensors");
        assert_eq!(place.find(&named("x/ink.safetensors", Some(b"other"))).unwrap(), "a/ink.safetensors");
        let short = FileRef { sha256: Some(digest(b"ink")[..10].to_owned()), ..FileRef::new("ink") };
        assert_eq!(place.find(&short).unwrap(), "b/deep/deeper/renamed.safetensors");
    }

    #[test]
    fn a_file_of_this_name_with_other_content_is_refused() {
        let place = place(&[("a/ink.safetensors", b"other"), ("b/x.safetensors", b"another")]);
        let error = place.find(&named("ink.safetensors", Some(b"ink"))).unwrap_err();
        let path = place.folder.path().join("a/ink.safetensors");
        let expected = format!(
            "'{}' is not the file that the settings name: its SHA-256 is {}, expected {}",
            path.display(),
            digest(b"other"),
            digest(b"ink")
        );
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn what_is_missing_is_named_with_the_folders() {
        let place = place(&[("a/x.ckpt", b"ink")]);
        let folders = format!("'{0}/a', '{0}/b'", place.folder.path().display());
        let error = place.find(&named("ink.safetensors", Some(b"ink"))).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("there is no file 'ink.safetensors' with the SHA-256 {} in {folders}", digest(b"ink"))
        );
        assert_eq!(
            place.find(&named("ink.safetensors", None)).unwrap_err().to_string(),
            format!("there is no file 'ink.safetensors' in {folders}")
        );
        let nowhere = FileSearch::new([""; 0]).find(&FileRef::new("x.pt")).unwrap_err();
        assert_eq!(nowhere.to_string(), "there is no file 'x.pt' in no folder");
    }

    #[test]
    fn without_a_hash_the_first_of_this_name_is_taken() {
        let place =
            place(&[("b/ink.pt", b"1"), ("b/z/ink.safetensors", b"2"), ("a/z/ink.pt", b"3"), ("a/sd-v1.4.ckpt", b"4")]);
        assert_eq!(place.find(&named("ink.pt", None)).unwrap(), "a/z/ink.pt");
        assert_eq!(place.find(&named("ink.safetensors", None)).unwrap(), "b/z/ink.safetensors");
        assert_eq!(place.find(&named("ink", None)).unwrap(), "a/z/ink.pt");
        assert_eq!(place.find(&named("sd-v1.4", None)).unwrap(), "a/sd-v1.4.ckpt");
        assert!(place.find(&named("INK.pt", None)).is_err());
    }

    #[test]
    fn others_are_read_only_if_the_hash_is_known_and_the_named_one_is_not_it() {
        let place = place(&[("a/ink.pt", b"ink"), ("a/x.pt", b"x"), ("a/x.png", b"ink")]);
        let hashed = || std::fs::read_dir(place.folder.path().join("cache")).map_or(0, Iterator::count);
        place.find(&named("ink.pt", None)).unwrap();
        assert_eq!(hashed(), 0);
        place.find(&named("ink.pt", Some(b"ink"))).unwrap();
        assert_eq!(hashed(), 1);
        assert_eq!(place.find(&named("ink.png", Some(b"ink"))).unwrap(), "a/x.png");
        assert_eq!(hashed(), 2);
        place.find(&named("none.pt", Some(b"x"))).unwrap();
        assert_eq!(hashed(), 3);
    }

    #[test]
    fn names_and_hashes_of_no_file_are_refused() {
        let place = place(&[("x.pt", b"x"), ("a/y.pt", b"y")]);
        for (name, hash) in
            [("", None), ("a/", None), ("x", Some("../../x")), ("x", Some("0123456")), ("x", Some("é123456789"))]
        {
            let file = FileRef { name: name.to_owned(), sha256: hash.map(str::to_owned) };
            assert!(matches!(place.find(&file), Err(FileSearchError::Invalid { .. })), "{file:?}");
        }
        let error = place.find(&FileRef::new("a\u{1b}[31m.pt")).unwrap_err().to_string();
        assert!(error.starts_with("there is no file 'a\\u{1b}[31m.pt' in"), "{error}");
        // A path leads nowhere: what counts is its last part, in the folders.
        let outside = place.folder.path().join("x.pt").display().to_string();
        for name in [outside.as_str(), "../x.pt"] {
            assert!(matches!(place.find(&FileRef::new(name)), Err(FileSearchError::Missing { .. })), "{name}");
        }
    }

    #[test]
    fn a_flat_folder_is_searched_without_those_in_it() {
        let place = place(&[("here/x.pt", b"x"), ("here/in/y.pt", b"y")]);
        let search = place.search.clone().with_flat_folder(place.folder.path().join("here"));
        assert!(search.find(&FileRef::new("x.pt")).is_ok());
        assert!(search.find(&FileRef::new("y.pt")).is_err());
    }

    #[test]
    fn folders_are_searched_to_a_depth() {
        let deep = format!("a/{}x.pt", "d/".repeat(MAX_DEPTH));
        let deeper = format!("a/{}y.pt", "d/".repeat(MAX_DEPTH + 1));
        let place = place(&[(&deep, b"x"), (&deeper, b"y")]);
        assert_eq!(place.find(&FileRef::new("x.pt")).unwrap(), deep);
        assert!(place.find(&FileRef::new("y.pt")).is_err());
    }

    #[test]
    fn a_search_that_ends_early_says_so() {
        let place = place(&[("a/x.pt", b"x"), ("a/in/y.pt", b"y"), ("b/z.pt", b"z")]);
        let whole = place.search.list(5);
        assert_eq!((whole.files.len(), whole.is_cut), (3, false));
        let cut = place.search.list(2);
        assert_eq!((cut.files.len(), cut.is_cut), (1, true));
        let error = place.search.missing(&FileRef::new("z.pt"), &cut).to_string();
        assert!(error.ends_with(" (only the first 100000 files were looked at)"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn linked_folders_are_searched_once() {
        let place = place(&[("a/x.pt", b"x"), ("elsewhere/y.pt", b"y")]);
        let link = |to: &str, from: &str| {
            std::os::unix::fs::symlink(place.folder.path().join(to), place.folder.path().join(from))
        };
        link("a", "a/loop").unwrap();
        link("elsewhere", "a/there").unwrap();
        link("nowhere", "a/dead.pt").unwrap();
        assert_eq!(place.find(&FileRef::new("y.pt")).unwrap(), "a/there/y.pt");
        assert_eq!(place.search.list(MAX_ENTRIES).files.len(), 2);
        assert!(place.find(&FileRef::new("dead.pt")).is_err());
    }

    const UNET: &str = "unet/diffusion_pytorch_model.safetensors";
    const VAE: &str = "vae/diffusion_pytorch_model.safetensors";

    #[test]
    fn a_folder_is_found_by_all_its_files() {
        let files = |folder: &str| [MODEL_INDEX, UNET, VAE].map(|name| format!("{folder}/{name}"));
        let (one, two) = (files("a/one"), files("b/models/two"));
        let place = place(&[
            (&one[0], b"{}"),
            (&one[1], b"unet"),
            (&one[2], b"vae 1"),
            (&two[0], b"{}"),
            (&two[1], b"unet"),
            (&two[2], b"vae 2"),
            ("a/unet.safetensors", b"unet"),
        ]);
        let model = |vae: Option<&[u8]>| [named(UNET, Some(b"unet")), named(VAE, vae)];
        let found = |files: &[FileRef]| place.search.find_model(files).map(|path| place.relative(&path));
        assert_eq!(found(&model(Some(b"vae 2"))).unwrap(), "b/models/two");
        assert_eq!(found(&model(None)).unwrap(), "a/one");
        let error = found(&model(Some(b"vae 3"))).unwrap_err();
        assert!(matches!(&error, FileSearchError::Different { path, .. } if path.ends_with(&one[2])), "{error}");
        let other = [named("unet/other.safetensors", None), named(VAE, None)];
        assert!(found(&other).unwrap_err().to_string().starts_with("there is no file 'unet/other.safetensors' in"));
        assert_eq!(found(&[named("unet.safetensors", Some(b"unet"))]).unwrap(), "a/unet.safetensors");
        for name in ["../one/unet.safetensors", "/etc/passwd", "unet/../../x", ""] {
            let files = [named(UNET, None), FileRef::new(name)];
            assert!(matches!(found(&files), Err(FileSearchError::Invalid { .. })), "{name}");
        }
        assert!(found(&[]).is_err());
    }

    #[cfg(unix)]
    #[cfg(feature = "hub")]
    #[test]
    fn models_of_the_hub_are_found_without_reading_them() {
        let folder = tempfile::tempdir().unwrap();
        let repo = folder.path().join("models--org--name");
        let commit = "0123456789abcdef0123456789abcdef01234567";
        // The name of the blob is its hash, whatever it contains here.
        let blob = "0123456789abcdef".repeat(4);
        old_file(&repo.join("blobs").join(&blob), b"x");
        let snapshot = repo.join("snapshots").join(commit);
        old_file(&snapshot.join(MODEL_INDEX), b"{}");
        std::fs::create_dir_all(snapshot.join("unet")).unwrap();
        std::os::unix::fs::symlink(Path::new("../../../blobs").join(&blob), snapshot.join(UNET)).unwrap();

        let hub = Hub::new(ae_hub::HubSettings::new(folder.path())).unwrap();
        let search = FileSearch::new([""; 0]).with_hashes(FileHashes::default()).with_hub_cache(&hub).unwrap();
        let file = |sha256: &str| FileRef { name: UNET.to_owned(), sha256: Some(sha256.to_owned()) };
        assert_eq!(search.find_model(&[file(&blob)]).unwrap(), snapshot);
        assert_eq!(search.find(&file(&blob[..10])).unwrap(), snapshot.join(UNET));
        assert!(search.find_model(&[file(&digest(b"x"))]).is_err());
    }
}
