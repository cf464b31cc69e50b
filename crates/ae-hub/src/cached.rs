use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cache::{io_error, read_ref, snapshot_files};
use crate::files::{MODEL_INDEX, select};
use crate::model_id::is_commit;
use crate::{FileChoice, HubError, KnownModel, model_index};

/// How deep folders are searched; a repository's are a few levels deep.
const MAX_DEPTH: usize = 8;

/// A revision of a model in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedModel {
    /// The repository, `org/name`.
    pub repo: String,
    /// The commit.
    pub commit: String,
    /// The branches and tags that meant this commit when they were last asked for.
    pub revisions: Vec<String>,
    /// The folder, in the layout of the repository.
    pub folder: PathBuf,
    /// The bytes on disk of the files in the folder, each content counted once. Commits of one repository may share
    /// contents.
    pub bytes: u64,
    /// Whether it is a Stable Diffusion 1 or 2 model in diffusers' layout.
    pub stable_diffusion: bool,
    /// Whether all files that a pipeline needs are there, in one precision or the other.
    pub complete: bool,
    /// What is known of the repository, such as its licence.
    pub known: Option<&'static KnownModel>,
}

impl CachedModel {
    /// What names it: the alias or the repository, with the revision unless that is `main`.
    pub fn short_name(&self) -> String {
        match (self.known, self.revisions.first()) {
            (Some(known), Some(revision)) if revision == "main" => known.alias.to_owned(),
            (None, Some(revision)) if revision == "main" => self.repo.clone(),
            (_, Some(revision)) => format!("{}@{revision}", self.repo),
            (_, None) => format!("{}@{}", self.repo, self.commit),
        }
    }
}

/// The models in a cache, by repository and commit; none when there is no such folder.
pub(crate) fn list(cache_dir: &Path) -> Result<Vec<CachedModel>, HubError> {
    let entries = match fs::read_dir(cache_dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io_error("read", cache_dir))?,
    };
    let mut models = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        // huggingface_hub writes `--` for the `/`, and allows no other `--` in a name.
        if let Some(repo) = name.to_str().and_then(|name| name.strip_prefix("models--")) {
            models.extend(snapshots(&entry.path(), &repo.replace("--", "/")));
        }
    }
    models.sort_by(|a, b| (&a.repo, &a.commit).cmp(&(&b.repo, &b.commit)));
    Ok(models)
}

fn snapshots(repo_folder: &Path, repo: &str) -> Vec<CachedModel> {
    let refs_folder = repo_folder.join("refs");
    let refs: Vec<(String, String)> = walk(&refs_folder)
        .into_iter()
        .filter_map(|path| {
            let name = path.strip_prefix(&refs_folder).ok()?.to_str()?.replace('\\', "/");
            Some((name, read_ref(&path)?))
        })
        .collect();
    let Ok(entries) = fs::read_dir(repo_folder.join("snapshots")) else { return Vec::new() };
    let commits = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    commits
        .filter(|commit| is_commit(commit))
        .map(|commit| {
            let folder = repo_folder.join("snapshots").join(&commit);
            let revisions = refs.iter().filter(|(_, of)| *of == commit).map(|(name, _)| name.clone());
            CachedModel {
                repo: repo.to_owned(),
                revisions: revisions.collect(),
                bytes: bytes_on_disk(&folder),
                stable_diffusion: model_index::check(&folder.join(MODEL_INDEX)).is_ok(),
                complete: select(&snapshot_files(&folder), &FileChoice::default()).is_ok(),
                known: KnownModel::by_repo(repo),
                commit,
                folder,
            }
        })
        .collect()
}

fn bytes_on_disk(folder: &Path) -> u64 {
    let contents: BTreeSet<PathBuf> = walk(folder).iter().filter_map(|file| fs::canonicalize(file).ok()).collect();
    contents.iter().filter_map(|file| fs::metadata(file).ok()).map(|metadata| metadata.len()).sum()
}

/// The files and links below a folder, in the order of their names. Linked folders are not entered.
pub(crate) fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if !kind.is_dir() => files.push(entry.path()),
                Ok(_) if depth < MAX_DEPTH => folders.push((entry.path(), depth + 1)),
                _ => {}
            }
        }
    }
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelId;
    use crate::cache::RepoFolder;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn a_cache_that_does_not_exist_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(list(&folder.path().join("hub")).unwrap(), []);
    }

    #[test]
    fn a_content_with_two_names_counts_once() {
        let cache = tempfile::tempdir().unwrap();
        let folder = RepoFolder::new(cache.path(), "CompVis/stable-diffusion-v1-4");
        fs::create_dir_all(folder.blob("x").parent().unwrap()).unwrap();
        fs::write(folder.blob("x"), [0; 100]).unwrap();
        fs::write(folder.blob("y"), [0; 10]).unwrap();
        folder.link(COMMIT, "a.json", "x").unwrap();
        folder.link(COMMIT, "unet/a.json", "x").unwrap();
        folder.link(COMMIT, "b.json", "y").unwrap();
        folder.link(COMMIT, "dead.json", "z").unwrap();
        let id = ModelId::parse("sd14@refs/pr/1").unwrap();
        folder.write_ref(&id, COMMIT).unwrap();
        fs::create_dir_all(cache.path().join("datasets--org--name/snapshots").join(COMMIT)).unwrap();

        let models = list(cache.path()).unwrap();
        assert_eq!(models.len(), 1, "{models:?}");
        let model = &models[0];
        assert_eq!((model.repo.as_str(), model.bytes), (id.repo(), 110));
        assert_eq!(model.revisions, ["refs/pr/1"]);
        assert_eq!(model.known.map(|known| known.licence), Some("CreativeML OpenRAIL-M"));
        assert!(!model.complete && !model.stable_diffusion);
    }
}
