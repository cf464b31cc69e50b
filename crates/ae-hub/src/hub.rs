use std::path::{Path, PathBuf};

use crate::cache::{RepoFolder, snapshot_files};
use crate::cached::{self, CachedModel};
use crate::cleaning::{self, Removal};
use crate::client::{Client, Listing};
use crate::download::Downloader;
use crate::files::{MODEL_INDEX, select, select_remote};
use crate::model_id::{Place, is_commit};
use crate::retry::{Failure, Patience, Retry, ask, with_retries};
use crate::{FileChoice, HubError, HubSettings, ModelId, Progress, damage, model_index};

/// A Hugging Face hub and the cache of its models.
#[derive(Debug)]
pub struct Hub {
    settings: HubSettings,
    pub(crate) client: Client,
    pub(crate) patience: Patience,
}

/// A model in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// The folder, in diffusers' layout: `model_index.json`, `unet/config.json` and so on. Of a model in one file, the file.
    pub path: PathBuf,
    /// The commit it is of.
    pub commit: String,
    /// What the user should know: that the hub could not be asked for a newer commit, or that the cache could not be
    /// updated.
    pub warning: Option<String>,
}

impl Hub {
    /// The hub and the cache that the environment names, see [`HubSettings::from_env`].
    ///
    /// # Errors
    ///
    /// There is no folder for the cache, or the endpoint is no address.
    pub fn from_env() -> Result<Self, HubError> {
        Self::new(HubSettings::from_env()?)
    }

    /// A hub with these settings. Nothing is requested and no folder is made yet.
    ///
    /// # Errors
    ///
    /// The endpoint is no address.
    pub fn new(settings: HubSettings) -> Result<Self, HubError> {
        Ok(Self { client: Client::new(&settings)?, settings, patience: Patience::default() })
    }

    /// The models in the cache, those of other programs included, by repository and commit.
    ///
    /// # Errors
    ///
    /// The cache's folder is there but cannot be read.
    pub fn cached(&self) -> Result<Vec<CachedModel>, HubError> {
        cached::list(&self.settings.cache_dir)
    }

    /// What of the cache holds a model that is in it, and nothing else: the folder of its commit, the revisions that mean it, and the
    /// contents that no other commit has.
    pub fn removal_of(&self, model: &CachedModel) -> Removal {
        cleaning::of_model(&self.settings.cache_dir, model)
    }

    /// What of the cache is of no use: downloads that broke off, and contents that no commit has.
    ///
    /// # Errors
    ///
    /// The cache's folder cannot be read.
    pub fn leftovers(&self) -> Result<Removal, HubError> {
        cleaning::leftovers(&self.settings.cache_dir)
    }

    /// Brings a model's files into the cache: the configurations, the tokenizer and one set of weights for text
    /// encoder, U-Net and autoencoder, or the one file that is named. Safety checkers and the formats of other frameworks are left
    /// out.
    ///
    /// The hub is asked for the commit of the revision and its files; only those that the cache lacks are downloaded.
    /// Nothing is asked when the settings are offline. When the hub cannot be reached, the commit that the revision had
    /// when it was last fetched is returned with a warning. From the cache alone, weights of the other precision will do.
    ///
    /// # Errors
    ///
    /// The model does not exist or may not be read, is no Stable Diffusion model in diffusers' layout, or neither hub
    /// nor cache has all of it.
    pub fn fetch(&self, id: &ModelId, choice: &FileChoice, progress: &mut dyn Progress) -> Result<Fetched, HubError> {
        let folder = RepoFolder::new(&self.settings.cache_dir, id.repo());
        if self.settings.offline {
            return self.cached_snapshot(&folder, id, choice);
        }
        match self.listing(id, progress) {
            Ok(listing) => self.complete(&folder, id, listing, choice, progress),
            Err(error) if error.is_temporary() => match self.cached_snapshot(&folder, id, choice) {
                Ok(fetched) => {
                    let not_asked = not_asked(id, &fetched.commit, &error);
                    let warnings: Vec<String> = std::iter::once(not_asked).chain(fetched.warning.clone()).collect();
                    Ok(Fetched { warning: Some(warnings.join("; ")), ..fetched })
                }
                Err(HubError::UnknownCommit { model, names, .. }) => {
                    Err(HubError::UnknownCommit { model, names, cause: cause(&error) })
                }
                Err(_) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    fn listing(&self, id: &ModelId, progress: &mut dyn Progress) -> Result<Listing, HubError> {
        with_retries(self.patience, progress, |progress| {
            let (client, id) = (self.client.clone(), id.clone());
            // Before the first answer, no way to the hub means no network: the user should not wait for it.
            ask(progress, move || client.listing(&id)).map_err(|failure| match failure.error {
                HubError::Unreachable { .. } => Failure { retry: Retry::Never, ..failure },
                _ => failure,
            })
        })
    }

    /// The snapshot of the revision in the cache, if everything is there.
    fn cached_snapshot(&self, folder: &RepoFolder, id: &ModelId, choice: &FileChoice) -> Result<Fetched, HubError> {
        if let Some(commit) = folder.commit(id).filter(|commit| folder.snapshot(commit).is_dir()) {
            return snapshot_at(folder, id, choice, &commit);
        }
        let model = id.to_string();
        let commits = folder.commits().into_iter().filter(|_| !is_commit(id.revision()));
        let whole = commits.filter(|commit| snapshot_at(folder, id, choice, commit).is_ok());
        let names: Vec<String> = whole.map(|commit| format!("'{}'", id.at(&commit))).collect();
        if names.is_empty() {
            return Err(HubError::NotCached { model, cache_dir: self.settings.cache_dir.clone() });
        }
        Err(HubError::UnknownCommit { model, cause: "HF_HUB_OFFLINE forbids to ask the hub".to_owned(), names })
    }

    /// Downloads what a snapshot lacks.
    fn complete(
        &self,
        folder: &RepoFolder,
        id: &ModelId,
        listing: Listing,
        choice: &FileChoice,
        progress: &mut dyn Progress,
    ) -> Result<Fetched, HubError> {
        let Listing { commit, files } = listing;
        let snapshot = folder.snapshot(&commit);
        let mut missing = select_remote(id, files, choice)?;
        for file in &missing {
            if let Some(blob) = damage::damaged(&snapshot.join(file)) {
                damage::remove(&snapshot.join(file), &blob)?;
            }
        }
        missing.retain(|file| !snapshot.join(file).exists());
        let metadata = |file: &String, progress: &mut dyn Progress| {
            with_retries(self.patience, progress, |progress| {
                let (client, id, commit, file) = (self.client.clone(), id.clone(), commit.clone(), file.clone());
                ask(progress, move || client.metadata(&id, &commit, &file))
            })
        };
        let missing = missing.iter().map(|file| metadata(file, progress)).collect::<Result<Vec<_>, _>>()?;
        if !missing.is_empty() {
            progress.planned(missing.len(), missing.iter().map(|file| file.size).sum());
        }

        // Gigabytes of another family of models would be of no use.
        let is_index = missing.first().is_some_and(|file| Path::new(&file.path).ends_with(MODEL_INDEX));
        let (index, others) = missing.split_at(usize::from(is_index));
        let downloader = Downloader { client: &self.client, folder, id, commit: &commit, patience: self.patience };
        for file in index {
            downloader.download(file, progress)?;
        }
        let path = path_in(&snapshot, id);
        check_family(&path, id)?;

        // A first download that is cut short is found by an offline run, which names what is missing. An update that is
        // cut short leaves the older, complete commit in use.
        if folder.commit(id).is_none() {
            folder.write_ref(id, &commit)?;
        }
        for file in others {
            downloader.download(file, progress)?;
        }
        // The cache may be complete and not writable.
        let warning = folder.write_ref(id, &commit).err().map(|error| error.to_string());
        Ok(Fetched { path, commit, warning })
    }
}

/// The snapshot of a commit in the cache, if everything is there.
fn snapshot_at(folder: &RepoFolder, id: &ModelId, choice: &FileChoice, commit: &str) -> Result<Fetched, HubError> {
    let snapshot = folder.snapshot(commit);
    let path = path_in(&snapshot, id);
    let incomplete = |file: String| HubError::Incomplete { model: id.to_string(), file, folder: snapshot.clone() };
    if let Place::File(file) = &id.place {
        // Great, and of no hash that is quick to compare.
        let is_there = path.is_file();
        let fetched = Fetched { path, commit: commit.to_owned(), warning: None };
        return is_there.then_some(fetched).ok_or_else(|| incomplete(file.clone()));
    }
    let inside = id.folder().map_or_else(String::new, |folder| format!("{folder}/"));
    let files = select(&snapshot_files(&path), choice).map_err(|file| incomplete(inside.clone() + &file))?;
    if let Some(variant) = choice.variant.as_ref().filter(|_| !choice.is_met_by(&files)) {
        return Err(incomplete(format!("{inside}unet/diffusion_pytorch_model.{variant}.safetensors")));
    }
    let damaged: Vec<PathBuf> = files.iter().filter_map(|file| damage::damaged(&path.join(file))).collect();
    check_family(&path, id).map_err(|error| match damaged.first() {
        Some(blob) => HubError::DamagedCache { model: id.to_string(), blob: blob.clone() },
        None => error,
    })?;
    Ok(Fetched { path, commit: commit.to_owned(), warning: damage::warning(&damaged) })
}

/// Where the model lies in the snapshot of a repository.
fn path_in(snapshot: &Path, id: &ModelId) -> PathBuf {
    match &id.place {
        Place::Root => snapshot.to_owned(),
        Place::Folder(inside) | Place::File(inside) => snapshot.join(inside),
    }
}

/// That a folder is of a family that can be drawn with. A single file tells when it is opened.
fn check_family(path: &Path, id: &ModelId) -> Result<(), HubError> {
    if id.file().is_some() {
        return Ok(());
    }
    model_index::check(&path.join(MODEL_INDEX))
        .map_err(|reason| HubError::NotStableDiffusion { repo: id.repo().to_owned(), reason })
}

fn not_asked(id: &ModelId, commit: &str, error: &HubError) -> String {
    format!("{}; using the copy of '{id}' in the cache, commit {commit}", cause(error))
}

/// An error without the advice behind the semicolon, which is for those who have no copy.
fn cause(error: &HubError) -> String {
    error.to_string().split(';').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::net::TcpListener;
    use std::sync::Mutex;

    use super::*;
    use crate::testing::{
        COMMIT, FakeRepo, Listener, Reply, Request, Server, TOKEN, UNET, UNET_BYTES, fetch, fetch_with, hub,
        offline_hub,
    };

    /// The files of the fake repository that a pipeline in full precision needs.
    const NEEDED: [&str; 10] = [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "tokenizer/merges.txt",
        "tokenizer/vocab.json",
        "unet/config.json",
        UNET,
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ];

    fn half() -> FileChoice {
        FileChoice { prefer_half: true, ..FileChoice::default() }
    }

    fn serve(repo: FakeRepo) -> Server {
        Server::start(move |request| repo.answer(request))
    }

    /// A hub that answers every request for a listing like this.
    fn fetch_from(reply: Reply, model: &str) -> (HubError, usize) {
        let server = Server::start(move |_| reply.clone());
        let cache = tempfile::tempdir().unwrap();
        let id = ModelId::parse(model).unwrap();
        let error = hub(&server.url, cache.path()).fetch(&id, &FileChoice::default(), &mut ()).unwrap_err();
        assert!(!cache.path().join("models--org--model").exists(), "an error must leave nothing behind");
        (error, server.requests().len())
    }

    /// The address of a port where nobody listens.
    fn nobody() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }

    #[test]
    fn what_a_pipeline_needs_is_downloaded_and_nothing_else() {
        let repo = FakeRepo::stable_diffusion();
        let server = serve(repo.clone());
        let cache = tempfile::tempdir().unwrap();
        let mut listener = Listener::default();
        let fetched = fetch_with(&hub(&server.url, cache.path()), &mut listener).unwrap();

        assert_eq!((fetched.commit.as_str(), fetched.warning), (COMMIT, None));
        assert_eq!(fetched.path, cache.path().join("models--org--model/snapshots").join(COMMIT));
        let files: Vec<String> = snapshot_files(&fetched.path).into_iter().collect();
        let needed: BTreeSet<&str> = NEEDED.into();
        assert_eq!(files, needed.into_iter().collect::<Vec<_>>());
        for file in NEEDED {
            assert_eq!(fs::read(fetched.path.join(file)).unwrap(), repo.files[file], "{file}");
        }
        let bytes: usize = NEEDED.iter().map(|file| repo.files[*file].len()).sum();
        assert_eq!(listener.planned, [(NEEDED.len(), bytes as u64)]);
        assert_eq!(listener.advanced, bytes as u64);
        assert_eq!(listener.finished.len(), NEEDED.len());
        assert_eq!(listener.finished.last().map(String::as_str), Some(UNET));
    }

    #[test]
    fn a_damaged_small_file_is_fetched_anew_or_named() {
        let repo = FakeRepo::stable_diffusion();
        let server = serve(repo.clone());
        let cache = tempfile::tempdir().unwrap();
        let online = hub(&server.url, cache.path());
        let fetched = fetch(&online).unwrap();
        for (file, content) in
            [("unet/config.json", &b"{"[..]), ("tokenizer/vocab.json", b""), ("model_index.json", b"null")]
        {
            let blob = fetched.path.join(file).canonicalize().unwrap();
            fs::write(&blob, content).unwrap();
            let offline = fetch(&offline_hub(&server.url, cache.path()));
            let said = offline.map_or_else(|error| error.to_string(), |fetched| fetched.warning.unwrap());
            assert!(said.contains(&*blob.to_string_lossy()) && said.contains("is not what it was"), "{file}: {said}");
            assert_eq!(fs::read(&blob).unwrap(), content, "offline nothing is removed");
            let before = server.gets(file).len();
            let again = fetch(&online).unwrap();
            assert_eq!((fs::read(again.path.join(file)).unwrap(), again.warning), (repo.files[file].clone(), None));
            assert_eq!(server.gets(file).len(), before + 1, "{file}");
        }
        // What is whole is not fetched twice.
        let requests = server.requests().len();
        fetch(&online).unwrap();
        assert_eq!(server.requests().len(), requests + 1);
    }

    #[test]
    fn the_cache_is_laid_out_as_the_python_library_does() {
        let repo = FakeRepo::stable_diffusion();
        let server = serve(repo.clone());
        let cache = tempfile::tempdir().unwrap();
        let fetched = fetch(&hub(&server.url, cache.path())).unwrap();
        let folder = cache.path().join("models--org--model");
        assert_eq!(fs::read_to_string(folder.join("refs/main")).unwrap(), COMMIT);
        let link = fs::read_link(fetched.path.join(UNET)).unwrap();
        assert_eq!(link, Path::new("../../../blobs").join(repo.etag(UNET)));
        let blobs: BTreeSet<String> = fs::read_dir(folder.join("blobs"))
            .unwrap()
            .map(|blob| blob.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(blobs, NEEDED.iter().map(|file| repo.etag(file)).collect());
    }

    #[test]
    fn half_precision_is_preferred_where_there_is_some() {
        let server = serve(FakeRepo::stable_diffusion());
        let cache = tempfile::tempdir().unwrap();
        let id = ModelId::parse("org/model").unwrap();
        let fetched = hub(&server.url, cache.path()).fetch(&id, &half(), &mut ()).unwrap();
        let files = snapshot_files(&fetched.path);
        assert!(files.contains("unet/diffusion_pytorch_model.fp16.safetensors"), "{files:?}");
        assert!(files.contains("vae/diffusion_pytorch_model.safetensors"), "{files:?}");
        assert!(!files.contains(UNET), "{files:?}");
    }

    #[test]
    fn the_other_precision_in_the_cache_does_not_stand_in_for_the_wanted_one() {
        let server = serve(FakeRepo::stable_diffusion());
        let cache = tempfile::tempdir().unwrap();
        let id = ModelId::parse(&format!("org/model@{COMMIT}")).unwrap();
        let hub = hub(&server.url, cache.path());
        hub.fetch(&id, &half(), &mut ()).unwrap();
        let fetched = hub.fetch(&id, &FileChoice::default(), &mut ()).unwrap();
        assert!(snapshot_files(&fetched.path).contains(UNET));
    }

    #[test]
    fn what_is_in_the_cache_is_not_downloaded_again() {
        let server = serve(FakeRepo::stable_diffusion());
        let cache = tempfile::tempdir().unwrap();
        let first = fetch(&hub(&server.url, cache.path())).unwrap();
        let requests = server.requests().len();
        let mut listener = Listener::default();
        assert_eq!(fetch_with(&hub(&server.url, cache.path()), &mut listener).unwrap(), first);
        assert_eq!(server.requests().len(), requests + 1, "only the commit is asked for");
        assert!(listener.planned.is_empty() && listener.started.is_empty());
    }

    #[test]
    fn offline_nothing_is_requested() {
        let server = serve(FakeRepo::stable_diffusion());
        let cache = tempfile::tempdir().unwrap();
        let first = fetch(&hub(&server.url, cache.path())).unwrap();
        let requests = server.requests().len();
        assert_eq!(fetch(&offline_hub(&server.url, cache.path())).unwrap(), first);
        let pinned = ModelId::parse(&format!("org/model@{COMMIT}")).unwrap();
        let hub = offline_hub(&server.url, cache.path());
        assert_eq!(hub.fetch(&pinned, &FileChoice::default(), &mut ()).unwrap(), first);
        assert_eq!(server.requests().len(), requests);
    }

    /// As a program leaves the cache that was given a commit, or that copied the snapshots alone.
    #[test]
    fn offline_without_refs_the_commits_are_named() {
        let repo = FakeRepo::stable_diffusion();
        let server = serve(repo.clone());
        let cache = tempfile::tempdir().unwrap();
        let first = fetch(&hub(&server.url, cache.path())).unwrap();
        fs::remove_dir_all(cache.path().join("models--org--model/refs")).unwrap();

        let error = fetch(&offline_hub(&server.url, cache.path())).unwrap_err().to_string();
        let name = format!("org/model@{COMMIT}");
        let expected = format!(
            "HF_HUB_OFFLINE forbids to ask the hub, and the cache does not say which commit 'org/model' is; it has '{name}': name it so"
        );
        assert_eq!(error, expected);
        let pinned = ModelId::parse(&name).unwrap();
        let offline = offline_hub(&server.url, cache.path());
        assert_eq!(offline.fetch(&pinned, &FileChoice::default(), &mut ()).unwrap(), first);
        // A branch that was never asked for is as unknown; another commit is not there at all.
        let fetch_named = |hub: &Hub, name: &str| {
            hub.fetch(&ModelId::parse(name).unwrap(), &FileChoice::default(), &mut ()).unwrap_err()
        };
        assert!(matches!(fetch_named(&offline, "org/model@v1"), HubError::UnknownCommit { .. }));
        let other = format!("org/model@{}", COMMIT.replace('0', "1"));
        assert!(matches!(fetch_named(&offline, &other), HubError::NotCached { .. }));
        // Without a network it is the same.
        let error = fetch(&hub(&nobody(), cache.path())).unwrap_err().to_string();
        assert!(error.starts_with("cannot reach 127.0.0.1") && error.contains(&name), "{error}");
        // A commit of which a part is missing is no advice.
        fs::remove_file(cache.path().join("models--org--model/blobs").join(repo.etag(UNET))).unwrap();
        assert!(matches!(fetch_named(&offline, "org/model"), HubError::NotCached { .. }));
    }

    /// The fake repository with all its files in a folder, and single files beside it.
    fn nested() -> FakeRepo {
        let mut repo = FakeRepo::stable_diffusion();
        let inside = repo.files.iter().map(|(name, bytes)| (format!("sub/{name}"), bytes.clone()));
        let single = ["x y.safetensors", "x y.yaml", "z.ckpt"].map(|name| (name.to_owned(), name.as_bytes().to_vec()));
        repo.files = inside.chain(single).collect();
        repo
    }

    #[test]
    fn a_folder_of_a_repository_is_fetched_by_itself() {
        let server = serve(nested());
        let cache = tempfile::tempdir().unwrap();
        let id = ModelId::parse("org/model:sub").unwrap();
        let fetched = hub(&server.url, cache.path()).fetch(&id, &FileChoice::default(), &mut ()).unwrap();
        assert_eq!(fetched.path, cache.path().join("models--org--model/snapshots").join(COMMIT).join("sub"));
        let files: Vec<String> = snapshot_files(&fetched.path).into_iter().collect();
        assert_eq!(files.len(), NEEDED.len());
        let offline = offline_hub(&server.url, cache.path());
        assert_eq!(offline.fetch(&id, &FileChoice::default(), &mut ()).unwrap(), fetched);
        fs::remove_file(fetched.path.join("vae/config.json")).unwrap();
        let error = offline.fetch(&id, &FileChoice::default(), &mut ()).unwrap_err();
        assert!(matches!(&error, HubError::Incomplete { file, .. } if file == "sub/vae/config.json"), "{error}");
    }

    #[test]
    fn a_file_of_a_repository_is_fetched_with_its_yaml_and_nothing_else() {
        let server = Server::start(move |request: &Request| {
            let path = request.path.replace("%20", " ");
            nested().answer(&Request { path, ..request.clone() })
        });
        let cache = tempfile::tempdir().unwrap();
        let id = ModelId::parse("org/model/x y.safetensors").unwrap();
        let online = hub(&server.url, cache.path());
        let fetched = online.fetch(&id, &FileChoice::default(), &mut ()).unwrap();
        assert_eq!(fs::read(&fetched.path).unwrap(), b"x y.safetensors");
        assert_eq!(fs::read(fetched.path.with_extension("yaml")).unwrap(), b"x y.yaml");
        assert_eq!(server.gets("").len(), 3, "the listing and two files");
        let offline = offline_hub(&server.url, cache.path());
        assert_eq!(offline.fetch(&id, &FileChoice::default(), &mut ()).unwrap(), fetched);
        let other = ModelId::parse("org/model/z.ckpt").unwrap();
        let error = offline.fetch(&other, &FileChoice::default(), &mut ()).unwrap_err();
        assert!(matches!(&error, HubError::Incomplete { file, .. } if file == "z.ckpt"), "{error}");
    }

    #[test]
    fn a_variant_is_fetched_and_offline_no_other_stands_in_for_it() {
        let mut repo = FakeRepo::stable_diffusion();
        repo.files.insert("unet/diffusion_pytorch_model.non_ema.safetensors".to_owned(), b"non-ema".to_vec());
        let server = serve(repo);
        let cache = tempfile::tempdir().unwrap();
        let id = ModelId::parse("org/model").unwrap();
        let choice = FileChoice { prefer_half: false, variant: Some("non_ema".to_owned()) };
        fetch(&hub(&server.url, cache.path())).unwrap();
        let error = offline_hub(&server.url, cache.path()).fetch(&id, &choice, &mut ()).unwrap_err();
        assert!(error.to_string().contains("diffusion_pytorch_model.non_ema.safetensors"), "{error}");
        let fetched = hub(&server.url, cache.path()).fetch(&id, &choice, &mut ()).unwrap();
        assert!(snapshot_files(&fetched.path).contains("unet/diffusion_pytorch_model.non_ema.safetensors"));
        offline_hub(&server.url, cache.path()).fetch(&id, &choice, &mut ()).unwrap();
    }

    /// A mirror that lets the hub answer for all it does not have, as hf-mirror.com does for some countries.
    fn mirror_of(hub: &str) -> Server {
        let hub = hub.to_owned();
        Server::start(move |request: &Request| Reply::status(308).header("location", &format!("{hub}{}", request.path)))
    }

    #[test]
    fn a_mirror_that_redirects_to_the_hub_is_followed_and_keeps_the_token() {
        let repo = FakeRepo::stable_diffusion();
        let cdn = serve(repo.clone());
        let server = serve(FakeRepo { cdn: Some(cdn.url.clone()), ..repo.clone() });
        let mirror = mirror_of(&server.url);
        let cache = tempfile::tempdir().unwrap();
        let mut hub = hub(&mirror.url, cache.path());
        hub.client.hubs.push(server.url.clone());
        let fetched = fetch(&hub).unwrap();
        assert_eq!(fs::read(fetched.path.join(UNET)).unwrap(), repo.files[UNET]);
        for request in server.requests().iter().chain(&cdn.requests()) {
            assert_eq!(request.header("authorization"), None, "{request:?}");
        }
        let authorization = format!("Bearer {TOKEN}");
        assert!(
            mirror.requests().iter().all(|request| request.header("authorization") == Some(authorization.as_str()))
        );
    }

    #[test]
    fn the_hub_behind_a_mirror_says_why_it_refuses() {
        let gated = Server::start(|_| Reply::status(401).header("x-error-code", "GatedRepo"));
        let mirror = mirror_of(&gated.url);
        let cache = tempfile::tempdir().unwrap();
        let mut hub = hub(&mirror.url, cache.path());
        hub.client.hubs.push(gated.url.clone());
        assert!(matches!(fetch(&hub), Err(HubError::AccessDenied { .. })));
    }

    #[test]
    fn a_mirror_that_redirects_to_a_stranger_without_the_hash_is_refused_by_name() {
        let stranger = serve(FakeRepo::stable_diffusion());
        let mirror = mirror_of(&stranger.url);
        let cache = tempfile::tempdir().unwrap();
        let error = fetch(&hub(&mirror.url, cache.path())).unwrap_err();
        assert!(matches!(error, HubError::BadAnswer { .. }), "{error}");
        assert!(error.to_string().contains("without the header x-linked-etag"), "{error}");
        assert!(!stranger.requests().iter().any(|request| request.method == "HEAD"));
        assert!(stranger.requests().iter().all(|request| request.header("authorization").is_none()));
    }

    #[test]
    fn a_redirect_keeps_what_follows_the_path() {
        let repo = FakeRepo::stable_diffusion();
        let server = Server::start(move |request: &Request| match request.path.split_once('?') {
            None => Reply::status(307).header("location", &format!("{}?etag=1", request.path)),
            Some((path, query)) => {
                assert_eq!(query, "etag=1");
                repo.answer(&Request { path: path.to_owned(), ..request.clone() })
            }
        });
        let cache = tempfile::tempdir().unwrap();
        fetch(&hub(&server.url, cache.path())).unwrap();
    }

    #[test]
    fn offline_without_the_model_says_so() {
        let server = serve(FakeRepo::stable_diffusion());
        let cache = tempfile::tempdir().unwrap();
        let error = fetch(&offline_hub(&server.url, cache.path())).unwrap_err();
        assert!(matches!(error, HubError::NotCached { .. }), "{error}");
        assert!(error.to_string().contains("HF_HUB_OFFLINE"), "{error}");
        assert!(server.requests().is_empty());
    }

    #[test]
    fn offline_with_a_part_of_the_model_names_what_is_missing() {
        let repo = FakeRepo::stable_diffusion();
        let server = serve(repo.clone());
        let cache = tempfile::tempdir().unwrap();
        fetch(&hub(&server.url, cache.path())).unwrap();
        fs::remove_file(cache.path().join("models--org--model/blobs").join(repo.etag("vae/config.json"))).unwrap();
        let error = fetch(&offline_hub(&server.url, cache.path())).unwrap_err();
        assert!(matches!(&error, HubError::Incomplete { file, .. } if file == "vae/config.json"), "{error}");
        // Online it is mended.
        fetch(&hub(&server.url, cache.path())).unwrap();
        fetch(&offline_hub(&server.url, cache.path())).unwrap();
    }

    #[test]
    fn without_a_network_the_cached_model_is_used_with_a_warning() {
        let cache = tempfile::tempdir().unwrap();
        let error = fetch(&hub(&nobody(), cache.path())).unwrap_err();
        assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("HF_HUB_OFFLINE=1"), "{error}");

        let first = fetch(&hub(&serve(FakeRepo::stable_diffusion()).url, cache.path())).unwrap();
        let second = fetch(&hub(&nobody(), cache.path())).unwrap();
        assert_eq!(second.path, first.path);
        let warning = second.warning.unwrap();
        assert!(warning.starts_with("cannot reach 127.0.0.1") && warning.contains(COMMIT), "{warning}");

        let broken = Server::start(|_| Reply::status(500));
        assert!(fetch(&hub(&broken.url, cache.path())).unwrap().warning.unwrap().contains("status 500"));
    }

    #[test]
    fn a_host_without_an_address_is_no_network() {
        let cache = tempfile::tempdir().unwrap();
        let error = fetch(&hub("http://hub.invalid", cache.path())).unwrap_err();
        assert!(matches!(&error, HubError::Unreachable { host, .. } if host == "hub.invalid"), "{error}");
    }

    #[test]
    fn an_endpoint_that_is_no_address_is_an_error() {
        for endpoint in ["huggingface.co", "ftp://huggingface.co", "", "http://"] {
            let settings = HubSettings { endpoint: endpoint.to_owned(), ..HubSettings::new("cache") };
            assert!(matches!(Hub::new(settings), Err(HubError::Request { .. })), "{endpoint}");
        }
    }

    #[test]
    fn a_refused_model_is_not_taken_from_the_cache() {
        let cache = tempfile::tempdir().unwrap();
        fetch(&hub(&serve(FakeRepo::stable_diffusion()).url, cache.path())).unwrap();
        let gone = Server::start(|_| Reply::status(404).header("x-error-code", "RepoNotFound"));
        assert!(matches!(fetch(&hub(&gone.url, cache.path())), Err(HubError::RepoNotFound { .. })));
    }

    #[test]
    fn a_model_that_is_not_there_is_told_from_a_revision_that_is_not() {
        let missing = |code: &str| Reply::status(404).header("x-error-code", code);
        let (error, requests) = fetch_from(missing("RepoNotFound"), "org/model");
        assert!(matches!(&error, HubError::RepoNotFound { repo, .. } if repo == "org/model"), "{error}");
        assert_eq!(requests, 1, "another try would not help");
        let (error, _) = fetch_from(missing("RevisionNotFound"), "org/model@v9");
        assert!(matches!(&error, HubError::RevisionNotFound { revision, .. } if revision == "v9"), "{error}");
        // Hubs that send no code.
        let (error, _) = fetch_from(Reply::status(404), "org/model");
        assert!(matches!(error, HubError::RepoNotFound { .. }), "{error}");
        let (error, _) = fetch_from(Reply::status(404), "org/model@v9");
        assert!(matches!(error, HubError::RevisionNotFound { .. }), "{error}");
    }

    #[test]
    fn a_gated_model_asks_for_licence_and_token() {
        for status in [401, 403] {
            let reply = Reply::status(status).header("x-error-code", "GatedRepo");
            let (error, _) = fetch_from(reply.header("x-error-message", "Access is restricted."), "org/model");
            assert!(matches!(error, HubError::AccessDenied { .. }), "{error}");
            let text = error.to_string();
            for part in ["Access is restricted.", "https://huggingface.co/org/model", "HF_TOKEN"] {
                assert!(text.contains(part), "{text}");
            }
        }
        let (error, _) = fetch_from(Reply::status(403), "org/model");
        assert!(matches!(error, HubError::AccessDenied { .. }), "{error}");
    }

    #[test]
    fn a_401_is_a_wrong_token_or_a_model_that_strangers_do_not_see() {
        let reply = Reply::status(401).header("x-error-message", "Invalid credentials in Authorization header");
        let (error, _) = fetch_from(reply, "org/model");
        assert!(matches!(error, HubError::InvalidToken), "{error}");
        let (error, _) = fetch_from(Reply::status(401), "org/model");
        assert!(matches!(error, HubError::RepoNotFound { .. }), "{error}");
        assert!(error.to_string().contains("HF_TOKEN"), "{error}");
    }

    #[test]
    fn a_gated_file_ends_the_fetch_before_the_download() {
        let repo = FakeRepo::stable_diffusion();
        let server = Server::start(move |request| {
            if request.path.ends_with(UNET) {
                Reply::status(403).header("x-error-code", "GatedRepo")
            } else {
                repo.answer(request)
            }
        });
        let cache = tempfile::tempdir().unwrap();
        assert!(matches!(fetch(&hub(&server.url, cache.path())), Err(HubError::AccessDenied { .. })));
        let downloads = server.requests().iter().filter(|request| request.gets(".safetensors")).count();
        assert_eq!(downloads, 0);
    }

    #[test]
    fn a_listed_file_that_is_not_there_is_named() {
        let repo = FakeRepo::stable_diffusion();
        let server = Server::start(move |request| {
            if request.path.ends_with("vae/config.json") {
                Reply::status(404).header("x-error-code", "EntryNotFound")
            } else {
                repo.answer(request)
            }
        });
        let cache = tempfile::tempdir().unwrap();
        let error = fetch(&hub(&server.url, cache.path())).unwrap_err();
        assert!(matches!(&error, HubError::FileNotFound { file, .. } if file == "vae/config.json"), "{error}");
    }

    #[test]
    fn a_busy_hub_is_waited_for_as_long_as_it_asks() {
        let repo = FakeRepo::stable_diffusion();
        let first = Mutex::new(true);
        let server = Server::start(move |request| {
            if std::mem::take(&mut *first.lock().unwrap()) {
                return Reply::status(429).header("retry-after", "1");
            }
            repo.answer(request)
        });
        let cache = tempfile::tempdir().unwrap();
        let mut listener = Listener::default();
        let start = std::time::Instant::now();
        fetch_with(&hub(&server.url, cache.path()), &mut listener).unwrap();
        assert!(start.elapsed().as_secs() >= 1);
        assert!(listener.waits[0].contains("RateLimited"), "{:?}", listener.waits);
    }

    #[test]
    fn a_hub_that_asks_for_an_hour_is_not_waited_for() {
        let (error, requests) = fetch_from(Reply::status(429).header("retry-after", "3600"), "org/model");
        assert!(matches!(error, HubError::RateLimited { seconds: Some(3600) }), "{error}");
        assert_eq!(requests, 1);
        let (error, requests) = fetch_from(Reply::status(429), "org/model");
        assert!(matches!(error, HubError::RateLimited { seconds: None }), "{error}");
        assert_eq!(requests, 4);
    }

    #[test]
    fn a_server_out_of_order_is_tried_a_few_times() {
        let (error, requests) = fetch_from(Reply::status(500), "org/model");
        assert!(matches!(error, HubError::Server { status: 500, .. }), "{error}");
        assert_eq!(requests, 4);
    }

    #[test]
    fn an_answer_that_is_no_listing_is_an_error() {
        let no_commit = serde_json::json!({"sha": "../../x", "siblings": []}).to_string();
        for body in ["<html>", "{}", "", &no_commit] {
            let (error, _) = fetch_from(Reply::status(200).body(body), "org/model");
            assert!(matches!(error, HubError::BadAnswer { .. }), "{error}");
        }
    }

    #[test]
    fn a_model_of_another_family_is_refused_before_its_weights() {
        let mut repo = FakeRepo::stable_diffusion();
        let index = r#"{"_class_name": "StableDiffusionXLPipeline", "unet": ["d", "U"], "vae": ["d", "V"],
            "text_encoder": ["t", "C"], "text_encoder_2": ["t", "C"]}"#;
        repo.files.insert(MODEL_INDEX.to_owned(), index.as_bytes().to_vec());
        let server = serve(repo);
        let cache = tempfile::tempdir().unwrap();
        let error = fetch(&hub(&server.url, cache.path())).unwrap_err();
        assert!(matches!(error, HubError::NotStableDiffusion { .. }), "{error}");
        assert!(error.to_string().contains("StableDiffusionXLPipeline"), "{error}");
        assert!(!server.requests().iter().any(|request| request.gets(".safetensors")));
    }

    #[test]
    fn the_token_goes_to_the_hub_and_to_no_other_server() {
        let repo = FakeRepo::stable_diffusion();
        let cdn = serve(repo.clone());
        let server = serve(FakeRepo { cdn: Some(cdn.url.clone()), ..repo });
        let cache = tempfile::tempdir().unwrap();
        fetch(&hub(&server.url, cache.path())).unwrap();
        let authorization = format!("Bearer {TOKEN}");
        for request in server.requests() {
            assert_eq!(request.header("authorization"), Some(authorization.as_str()), "{request:?}");
        }
        assert_eq!(cdn.requests().len(), 3, "three files with weights");
        for request in cdn.requests() {
            assert_eq!(request.header("authorization"), None, "{request:?}");
        }
    }

    /// As the hub answers for a repository by an old name: every address leads to the same one below the new name.
    #[test]
    fn a_renamed_repository_is_found_and_gets_the_token() {
        let repo = FakeRepo::stable_diffusion();
        let server = Server::start(move |request: &Request| {
            if request.path.contains("org/old") {
                Reply::status(307).header("location", &request.path.replace("org/old", "org/model"))
            } else {
                repo.answer(request)
            }
        });
        let cache = tempfile::tempdir().unwrap();
        let id = ModelId::parse("org/old@v1").unwrap();
        let fetched = hub(&server.url, cache.path()).fetch(&id, &FileChoice::default(), &mut ()).unwrap();
        assert!(fetched.path.join("unet/config.json").is_file());
        let requests = server.requests();
        assert_eq!(requests[1].path, "/api/models/org/model/revision/v1");
        let authorization = format!("Bearer {TOKEN}");
        assert!(requests.iter().all(|request| request.header("authorization") == Some(authorization.as_str())));
    }

    #[test]
    fn a_listing_that_redirects_without_end_is_given_up() {
        let server = Server::start(|request: &Request| Reply::status(307).header("location", &request.path));
        let cache = tempfile::tempdir().unwrap();
        let error = fetch(&hub(&server.url, cache.path())).unwrap_err();
        assert!(error.to_string().contains("too many redirects"), "{error}");
    }

    #[test]
    fn an_update_downloads_only_what_changed_and_failing_leaves_the_old_one() {
        const NEW: &str = "fedcba9876543210fedcba9876543210fedcba98";
        let old = FakeRepo::stable_diffusion();
        let cache = tempfile::tempdir().unwrap();
        let first = fetch(&hub(&serve(old.clone()).url, cache.path())).unwrap();

        let mut new = FakeRepo { commit: NEW.to_owned(), ..old };
        new.files.insert("vae/diffusion_pytorch_model.safetensors".to_owned(), b"a better vae".to_vec());
        let repo = new.clone();
        let failing = Server::start(move |request: &Request| {
            if request.gets("vae/diffusion_pytorch_model.safetensors") {
                Reply::status(500)
            } else {
                repo.answer(request)
            }
        });
        assert!(matches!(fetch(&hub(&failing.url, cache.path())), Err(HubError::Server { .. })));
        assert_eq!(fetch(&offline_hub(&failing.url, cache.path())).unwrap(), first);

        let server = serve(new);
        let second = fetch(&hub(&server.url, cache.path())).unwrap();
        assert_eq!(second.commit, NEW);
        assert_eq!(server.gets("").len(), 2, "the listing and one file");
        assert_eq!(fetch(&offline_hub(&server.url, cache.path())).unwrap(), second);

        let cached = hub(&server.url, cache.path()).cached().unwrap();
        let summary: Vec<_> = cached.iter().map(|model| (model.commit.as_str(), model.revisions.clone())).collect();
        assert_eq!(summary, [(COMMIT, vec![]), (NEW, vec!["main".to_owned()])]);
        assert!(cached.iter().all(|model| model.complete && model.stable_diffusion && model.bytes > UNET_BYTES as u64));
    }
}
