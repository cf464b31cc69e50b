//! What can be removed from the cache.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::HubError;
use crate::cache::{RepoFolder, io_error, read_ref};
use crate::cached::{CachedModel, walk};

/// Files of the cache that can go, with their size; nothing is removed before [`apply`](Self::apply).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removal {
    /// The files and links, those in a folder that goes included.
    pub files: Vec<PathBuf>,
    /// The bytes on disk that become free.
    pub bytes: u64,
    /// The folders of repositories, in which empty folders go too.
    repos: Vec<PathBuf>,
}

impl Removal {
    fn add(&mut self, path: PathBuf) {
        // A link has no size that counts; on systems without links the file itself is there.
        self.bytes += fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file).map_or(0, |entry| entry.len());
        self.files.push(path);
    }

    /// Removes the files, and the folders that are empty then.
    ///
    /// # Errors
    ///
    /// The first file that cannot be removed; those before it are gone.
    pub fn apply(&self) -> Result<(), HubError> {
        for path in &self.files {
            match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io_error("remove", path)(error));
                }
                _ => {}
            }
        }
        self.repos.iter().for_each(|repo| remove_empty(repo));
        Ok(())
    }
}

/// Removes a folder and those in it where nothing else is in them.
fn remove_empty(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&entry.path());
        }
    }
    // It fails where something is in it, as it should.
    let _ = fs::remove_dir(folder);
}

/// What holds one model and nothing else.
pub(crate) fn of_model(cache_dir: &Path, model: &CachedModel) -> Removal {
    let folder = RepoFolder::new(cache_dir, &model.repo);
    let (snapshot, refs) = (folder.snapshot(&model.commit), folder.refs());
    let mut removal = Removal { repos: vec![folder.path().to_owned()], ..Removal::default() };
    let others = folder.commits().into_iter().filter(|commit| *commit != model.commit);
    let of_others = contents(others.map(|commit| folder.snapshot(&commit)));
    let own = contents([snapshot.clone()]);
    for path in walk(&snapshot) {
        removal.add(path);
    }
    for path in walk(&refs).into_iter().filter(|path| read_ref(path).as_ref() == Some(&model.commit)) {
        removal.add(path);
    }
    // What a link means elsewhere is not the cache's.
    if let Ok(blobs) = folder.path().join("blobs").canonicalize() {
        for path in own.difference(&of_others).filter(|path| path.starts_with(&blobs)) {
            removal.add(path.clone());
        }
    }
    removal
}

/// What no model of the cache has.
pub(crate) fn leftovers(cache_dir: &Path) -> Result<Removal, HubError> {
    let mut removal = Removal::default();
    let entries = match fs::read_dir(cache_dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(removal),
        entries => entries.map_err(io_error("read", cache_dir))?,
    };
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    for repo in names.iter().filter_map(|name| name.strip_prefix("models--")) {
        let folder = RepoFolder::new(cache_dir, &repo.replace("--", "/"));
        let used = contents(folder.commits().iter().map(|commit| folder.snapshot(commit)));
        let unused = walk(&folder.path().join("blobs")).into_iter().filter(|path| {
            let etag = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split('.').next());
            let is_used = path.canonicalize().is_ok_and(|path| used.contains(&path));
            // A download that is under way is no leftover.
            !is_used && etag.is_some_and(|etag| !is_locked(&folder.lock(etag)))
        });
        for path in unused {
            removal.add(path);
        }
        removal.repos.push(folder.path().to_owned());
    }
    Ok(removal)
}

/// The files that snapshots hold or link to.
fn contents(snapshots: impl IntoIterator<Item = PathBuf>) -> BTreeSet<PathBuf> {
    snapshots.into_iter().flat_map(|snapshot| walk(&snapshot)).filter_map(|file| file.canonicalize().ok()).collect()
}

/// Whether a process holds the lock.
fn is_locked(lock: &Path) -> bool {
    ae_files::open_file(lock).is_ok_and(|lock| matches!(lock.try_lock(), Err(fs::TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{COMMIT, FakeRepo, Server, UNET, fetch, hub, offline_hub};

    const NEW: &str = "fedcba9876543210fedcba9876543210fedcba98";

    /// A cache with two commits that differ in the autoencoder; `main` is the second.
    fn two_commits() -> (tempfile::TempDir, FakeRepo, FakeRepo) {
        let cache = tempfile::tempdir().unwrap();
        let old = FakeRepo::stable_diffusion();
        let mut new = FakeRepo { commit: NEW.to_owned(), ..old.clone() };
        new.files.insert("vae/diffusion_pytorch_model.safetensors".to_owned(), b"a better vae".to_vec());
        for repo in [old.clone(), new.clone()] {
            let server = Server::start(move |request| repo.answer(request));
            fetch(&hub(&server.url, cache.path())).unwrap();
        }
        (cache, old, new)
    }

    #[test]
    fn of_two_commits_one_goes_and_the_other_stays_whole() {
        let (cache, old, _) = two_commits();
        let hub = offline_hub("http://localhost", cache.path());
        let models = hub.cached().unwrap();
        let removal = hub.removal_of(&models[0]);
        let vae = &old.files["vae/diffusion_pytorch_model.safetensors"];
        assert_eq!((models[0].commit.as_str(), removal.bytes), (COMMIT, vae.len() as u64));
        assert_eq!(hub.cached().unwrap(), models, "nothing is removed before it is asked for");
        removal.apply().unwrap();
        assert_eq!(hub.cached().unwrap(), models[1..]);
        fetch(&hub).unwrap();
        assert!(hub.leftovers().unwrap().files.is_empty());
    }

    #[test]
    fn the_last_commit_takes_the_folder_of_the_repository_with_it() {
        let (cache, ..) = two_commits();
        let hub = offline_hub("http://localhost", cache.path());
        for model in hub.cached().unwrap() {
            hub.removal_of(&model).apply().unwrap();
        }
        assert!(!cache.path().join("models--org--model").exists());
        assert_eq!(hub.cached().unwrap(), []);
    }

    #[test]
    fn leftovers_are_partial_downloads_and_contents_without_a_name() {
        let (cache, ..) = two_commits();
        let folder = RepoFolder::new(cache.path(), "org/model");
        for (name, bytes) in [("a.incomplete", 10), ("b", 100), ("c.1234.incomplete", 1000)] {
            fs::write(folder.blob(name), vec![0; bytes]).unwrap();
        }
        let lock = fs::File::create(folder.lock("c")).unwrap();
        lock.lock().unwrap();
        let hub = offline_hub("http://localhost", cache.path());
        let leftovers = hub.leftovers().unwrap();
        assert_eq!((leftovers.files.len(), leftovers.bytes), (2, 110), "{leftovers:?}");
        drop(lock);
        let leftovers = hub.leftovers().unwrap();
        assert_eq!(leftovers.bytes, 1110);
        leftovers.apply().unwrap();
        assert_eq!(hub.leftovers().unwrap().bytes, 0);
        assert!(fetch(&hub).unwrap().path.join(UNET).is_file());
    }

    #[test]
    fn an_empty_cache_has_no_leftovers() {
        let cache = tempfile::tempdir().unwrap();
        let hub = offline_hub("http://localhost", &cache.path().join("none"));
        assert_eq!(hub.leftovers().unwrap(), Removal::default());
    }

    /// Where links lead out of the cache, only the links go.
    #[cfg(unix)]
    #[test]
    fn what_lies_elsewhere_is_not_removed() {
        let (cache, ..) = two_commits();
        let elsewhere = tempfile::tempdir().unwrap();
        let file = elsewhere.path().join("mine");
        fs::write(&file, "mine").unwrap();
        let link = cache.path().join("models--org--model/snapshots").join(COMMIT).join("extra.json");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let hub = offline_hub("http://localhost", cache.path());
        hub.removal_of(&hub.cached().unwrap()[0]).apply().unwrap();
        assert!(file.is_file() && !link.exists());
    }
}
