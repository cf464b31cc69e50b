use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use crate::files::FOLDERS;
use crate::model_id::is_commit;
use crate::{HubError, ModelId};

/// The folder of a repository in the cache:
///
/// ```text
/// models--org--name/blobs/<etag>               the contents
/// models--org--name/snapshots/<commit>/<path>  links to them
/// models--org--name/refs/<revision>            the commit that a branch or tag meant when it was last asked for
/// .locks/models--org--name/<etag>.lock         held while a blob is written
/// ```
#[derive(Debug)]
pub(crate) struct RepoFolder {
    path: PathBuf,
    locks: PathBuf,
}

impl RepoFolder {
    pub(crate) fn new(cache_dir: &Path, repo: &str) -> Self {
        let name = format!("models--{}", repo.replace('/', "--"));
        Self { path: cache_dir.join(&name), locks: cache_dir.join(".locks").join(name) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn blob(&self, etag: &str) -> PathBuf {
        self.path.join("blobs").join(etag)
    }

    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.path.join("snapshots").join(commit)
    }

    pub(crate) fn lock(&self, etag: &str) -> PathBuf {
        self.locks.join(format!("{etag}.lock"))
    }

    pub(crate) fn refs(&self) -> PathBuf {
        self.path.join("refs")
    }

    /// The commit of the model's revision, as far as the cache knows it.
    pub(crate) fn commit(&self, id: &ModelId) -> Option<String> {
        if is_commit(id.revision()) {
            return Some(id.revision().to_owned());
        }
        read_ref(&self.refs().join(id.revision()))
    }

    /// The commits that have a snapshot.
    pub(crate) fn commits(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path.join("snapshots")) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut commits: Vec<_> = names.filter(|name| is_commit(name)).collect();
        commits.sort();
        commits
    }

    /// Remembers the commit of a revision. Nothing is written when it is known already.
    pub(crate) fn write_ref(&self, id: &ModelId, commit: &str) -> Result<(), HubError> {
        if self.commit(id).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.refs().join(id.revision());
        // A process that ends while it writes must not leave an empty one.
        let draft = self.path.join(format!(".ref-{}", process::id()));
        create_parent(&path)?;
        fs::write(&draft, commit).map_err(io_error("write", &draft))?;
        fs::rename(&draft, &path).map_err(io_error("write", &path))
    }

    /// Puts a blob into a snapshot.
    pub(crate) fn link(&self, commit: &str, file: &str, etag: &str) -> Result<(), HubError> {
        let pointer = self.snapshot(commit).join(file);
        if pointer.exists() {
            return Ok(());
        }
        create_parent(&pointer)?;
        if pointer.is_symlink() {
            fs::remove_file(&pointer).map_err(io_error("replace", &pointer))?;
        }
        // From snapshots/<commit>/<path>, whose path may have folders of its own.
        let up = "../".repeat(2 + file.matches('/').count());
        match link_or_move(Path::new(&format!("{up}blobs/{etag}")), &self.blob(etag), &pointer) {
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && pointer.exists() => Ok(()),
            result => result.map_err(io_error("link", &pointer)),
        }
    }
}

#[cfg(unix)]
fn link_or_move(target: &Path, _blob: &Path, pointer: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, pointer)
}

/// Windows lets only some users make links. The others have the file itself in the snapshot, as in huggingface_hub.
#[cfg(windows)]
fn link_or_move(target: &Path, blob: &Path, pointer: &Path) -> io::Result<()> {
    let target: PathBuf = target.components().collect();
    std::os::windows::fs::symlink_file(target, pointer).or_else(|_| fs::rename(blob, pointer))
}

/// The commit in a file of `refs`.
pub(crate) fn read_ref(path: &Path) -> Option<String> {
    let commit = ae_files::read_text(path, 64).ok()?;
    Some(commit.trim().to_owned()).filter(|commit| is_commit(commit))
}

/// The files of a snapshot in the folders of a pipeline, by their paths in the repository. A link without its blob is
/// no file.
pub(crate) fn snapshot_files(snapshot: &Path) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for folder in FOLDERS {
        let Ok(entries) = fs::read_dir(snapshot.join(folder)) else { continue };
        let names = entries.flatten().filter(|entry| entry.path().is_file()).map(|entry| entry.file_name());
        for name in names.filter_map(|name| name.into_string().ok()) {
            files.insert(if folder.is_empty() { name } else { format!("{folder}/{name}") });
        }
    }
    files
}

pub(crate) fn create_parent(path: &Path) -> Result<(), HubError> {
    let parent = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(parent).map_err(io_error("create", parent))
}

/// Makes a [`HubError`] of a system's error.
pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HubError {
    let path = path.to_owned();
    move |cause| HubError::Io { action, path, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn a_link_reaches_its_blob_and_replaces_a_dead_one() {
        let cache = tempfile::tempdir().unwrap();
        let folder = RepoFolder::new(cache.path(), "org/name");
        fs::create_dir_all(folder.blob("x").parent().unwrap()).unwrap();
        folder.link(COMMIT, "unet/config.json", "gone").unwrap();
        assert!(snapshot_files(&folder.snapshot(COMMIT)).is_empty());

        fs::write(folder.blob("abc"), "{}").unwrap();
        folder.link(COMMIT, "unet/config.json", "abc").unwrap();
        folder.link(COMMIT, "model_index.json", "abc").unwrap();
        let snapshot = cache.path().join("models--org--name/snapshots").join(COMMIT);
        assert_eq!(fs::read_to_string(snapshot.join("unet/config.json")).unwrap(), "{}");
        assert_eq!(fs::read_to_string(snapshot.join("model_index.json")).unwrap(), "{}");
        let files: Vec<String> = snapshot_files(&snapshot).into_iter().collect();
        assert_eq!(files, ["model_index.json", "unet/config.json"]);
    }

    #[test]
    fn a_revision_with_slashes_is_remembered() {
        let cache = tempfile::tempdir().unwrap();
        let id = ModelId::parse("org/name@refs/pr/1").unwrap();
        let folder = RepoFolder::new(cache.path(), id.repo());
        assert_eq!(folder.commit(&id), None);
        folder.write_ref(&id, COMMIT).unwrap();
        assert_eq!(folder.commit(&id).as_deref(), Some(COMMIT));
        let names: Vec<_> = fs::read_dir(cache.path().join("models--org--name")).unwrap().flatten().collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }

    #[test]
    fn a_damaged_ref_is_none() {
        let cache = tempfile::tempdir().unwrap();
        let path = cache.path().join("main");
        for content in ["", "main", "../../etc"] {
            fs::write(&path, content).unwrap();
            assert_eq!(read_ref(&path), None, "{content:?}");
        }
    }
}
