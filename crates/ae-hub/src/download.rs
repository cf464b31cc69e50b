use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::cache::{RepoFolder, create_parent, io_error};
use crate::client::{Client, RemoteFile};
use crate::retry::{Failure, Patience, Retry, pause, with_retries};
use crate::{HubError, ModelId, Progress, Waiting};

const CHUNK: usize = 128 << 10;
/// A connection that brought this much before it broke off was worth having: the tries count anew.
const WORTHWHILE: u64 = 1 << 20;
/// How often a file that another process is downloading is looked at.
const LOCK_WAIT: Duration = Duration::from_millis(200);

/// The download of one commit's files.
pub(crate) struct Downloader<'a> {
    pub(crate) client: &'a Client,
    pub(crate) folder: &'a RepoFolder,
    pub(crate) id: &'a ModelId,
    pub(crate) commit: &'a str,
    pub(crate) patience: Patience,
}

impl Downloader<'_> {
    /// Brings a file into the snapshot. Its content has its name only when it is whole and verified; until then it is
    /// `<etag>.incomplete`, which the next download goes on from.
    pub(crate) fn download(&self, file: &RemoteFile, progress: &mut dyn Progress) -> Result<(), HubError> {
        let blob = self.folder.blob(&file.etag);
        let _lock = lock(&self.folder.lock(&file.etag), &file.path, progress)?;
        if fs::metadata(&blob).is_ok_and(|metadata| metadata.len() == file.size) {
            progress.started(&file.path, file.size, file.size);
        } else {
            self.download_blob(file, &blob, progress)?;
        }
        self.folder.link(self.commit, &file.path, &file.etag)?;
        progress.finished(&file.path);
        Ok(())
    }

    fn download_blob(&self, file: &RemoteFile, blob: &Path, progress: &mut dyn Progress) -> Result<(), HubError> {
        let mut part = Part::open(blob.with_file_name(format!("{}.incomplete", file.etag)), file.size)?;
        progress.started(&file.path, file.size, part.len);
        with_retries(self.patience, progress, |progress| self.receive(file, &mut part, progress))?;
        part.finish(file, self.id, blob)
    }

    /// Makes one connection and takes what it brings.
    fn receive(&self, file: &RemoteFile, part: &mut Part, progress: &mut dyn Progress) -> Result<(), Failure> {
        if part.len == file.size {
            return Ok(());
        }
        let start = part.len;
        let mut content = self.client.content(self.id, self.commit, &file.path, start)?;
        if content.offset != start {
            part.restart()?;
            progress.started(&file.path, file.size, 0);
        }
        let mut buffer = vec![0; CHUNK];
        let mut received = 0;
        loop {
            let (count, reason) = match content.reader.read(&mut buffer) {
                Ok(0) if part.len == file.size => return Ok(()),
                Ok(0) => (0, "it ended too early".to_owned()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => (0, error.to_string()),
                Ok(count) => (count, String::new()),
            };
            if count == 0 {
                let error = HubError::Interrupted { host: content.host, reason };
                return Err(Failure { error, retry: Retry::Soon, progressed: received >= WORTHWHILE });
            }
            if part.len + count as u64 > file.size {
                part.remove()?;
                return Err(damaged(self.id, file, format!("more than its {} bytes", file.size)).into());
            }
            part.append(&buffer[..count])?;
            received += count as u64;
            if progress.advanced(count as u64).is_break() {
                return Err(HubError::Cancelled.into());
            }
        }
    }
}

/// A file that is not whole yet, with the hash of what is there.
struct Part {
    path: PathBuf,
    file: File,
    hash: Sha256,
    len: u64,
}

impl Part {
    /// Opens what an earlier download left, or an empty file.
    fn open(path: PathBuf, size: u64) -> Result<Self, HubError> {
        create_parent(&path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&path).map_err(io_error("write", &path))?;
        let mut part = Self { path, file, hash: Sha256::new(), len: 0 };
        let present = part.file.metadata().map_err(io_error("read", &part.path))?.len();
        if present > size {
            part.restart()?;
        } else {
            part.len = io::copy(&mut part.file, &mut part.hash).map_err(io_error("read", &part.path))?;
        }
        Ok(part)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), HubError> {
        self.file.write_all(bytes).map_err(io_error("write", &self.path))?;
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> Result<(), HubError> {
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(io_error("write", &self.path))?;
        self.hash = Sha256::new();
        self.len = 0;
        Ok(())
    }

    fn remove(&self) -> Result<(), HubError> {
        fs::remove_file(&self.path).map_err(io_error("remove", &self.path))
    }

    /// Verifies the file and gives it its name.
    fn finish(self, file: &RemoteFile, id: &ModelId, blob: &Path) -> Result<(), HubError> {
        // Of small files the ETag is git's hash; TLS and the size are what vouches for them, as in huggingface_hub.
        let actual = format!("{:x}", self.hash.clone().finalize());
        if let Some(expected) = file.sha256().filter(|expected| *expected != actual) {
            self.remove()?;
            return Err(damaged(id, file, format!("its SHA-256 is {actual} and should be {expected}")));
        }
        // A name may reach the disk before the content does.
        self.file.sync_all().map_err(io_error("write", &self.path))?;
        fs::rename(&self.path, blob).map_err(io_error("write", blob))
    }
}

fn damaged(id: &ModelId, file: &RemoteFile, reason: String) -> HubError {
    HubError::Damaged { repo: id.repo().to_owned(), file: file.path.clone(), reason }
}

/// Takes the lock that huggingface_hub takes too, and waits while another process has it.
fn lock(path: &Path, file: &str, progress: &mut dyn Progress) -> Result<File, HubError> {
    create_parent(path)?;
    let lock = File::create(path).map_err(io_error("write", path))?;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => pause(LOCK_WAIT, Waiting::OtherProcess { file }, progress)?,
            // Some network file systems have none. Then two downloads at once may spoil each other's partial file,
            // which the checksum tells.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => return Ok(lock),
            Err(TryLockError::Error(error)) => return Err(io_error("lock", path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::thread;

    use super::*;
    use crate::testing::{
        COMMIT, FakeRepo, Listener, Reply, Request, Server, UNET, UNET_BYTES, fetch, fetch_with, hub, offline_hub,
    };

    type Answer = Box<dyn Fn(&FakeRepo, &Request) -> Reply + Send>;

    /// Answers the requests for the U-Net's content in this order, and then as the repository does.
    fn serve(repo: &FakeRepo, replies: impl IntoIterator<Item = Answer>) -> Server {
        let repo = repo.clone();
        let replies = Mutex::new(replies.into_iter().collect::<Vec<_>>().into_iter());
        Server::start(move |request| {
            let special = request.gets(UNET).then(|| replies.lock().unwrap().next()).flatten();
            special.map_or_else(|| repo.answer(request), |reply| reply(&repo, request))
        })
    }

    /// The content as the request wants it, cut after some bytes.
    fn cut(after: usize) -> Answer {
        Box::new(move |repo, request| repo.content(request, UNET).cut(after))
    }

    fn ranges(server: &Server) -> Vec<Option<usize>> {
        server.gets(UNET).iter().map(Request::range_start).collect()
    }

    fn incomplete(repo: &FakeRepo, cache: &Path) -> PathBuf {
        cache.join("models--org--model/blobs").join(format!("{}.incomplete", repo.etag(UNET)))
    }

    fn unet(folder: &Path) -> Vec<u8> {
        fs::read(folder.join(UNET)).unwrap()
    }

    #[test]
    fn a_cut_connection_is_taken_up_where_it_broke_off() {
        let repo = FakeRepo::stable_diffusion();
        let server = serve(&repo, [cut(1000), cut(200_000), cut(0)]);
        let cache = tempfile::tempdir().unwrap();
        let mut listener = Listener::default();
        let fetched = fetch_with(&hub(&server.url, cache.path()), &mut listener).unwrap();
        assert_eq!(ranges(&server), [None, Some(1000), Some(201_000), Some(201_000)]);
        assert_eq!(unet(&fetched.path), repo.files[UNET]);
        assert!(listener.waits.iter().any(|wait| wait.contains("Interrupted")), "{:?}", listener.waits);
        assert!(!incomplete(&repo, cache.path()).exists());
    }

    #[test]
    fn a_cut_connection_to_the_cdn_is_taken_up_too() {
        let repo = FakeRepo::stable_diffusion();
        let cdn = serve(&repo, [cut(1000)]);
        let server = serve(&FakeRepo { cdn: Some(cdn.url.clone()), ..repo.clone() }, []);
        let cache = tempfile::tempdir().unwrap();
        let fetched = fetch(&hub(&server.url, cache.path())).unwrap();
        assert_eq!(ranges(&cdn), [None, Some(1000)]);
        assert_eq!(unet(&fetched.path), repo.files[UNET]);
    }

    #[test]
    fn a_connection_that_always_breaks_off_is_given_up() {
        let repo = FakeRepo::stable_diffusion();
        let server = serve(&repo, (0..4).map(|_| cut(1000)));
        let cache = tempfile::tempdir().unwrap();
        let error = fetch(&hub(&server.url, cache.path())).unwrap_err();
        assert!(matches!(error, HubError::Interrupted { .. }), "{error}");
        assert_eq!(ranges(&server).len(), 4);
        assert_eq!(fs::metadata(incomplete(&repo, cache.path())).unwrap().len(), 4000);
        assert!(!cache.path().join("models--org--model/snapshots").join(COMMIT).join(UNET).exists());

        // What is missing is named without a network, and the next run goes on.
        let error = fetch(&offline_hub(&server.url, cache.path())).unwrap_err();
        assert!(matches!(&error, HubError::Incomplete { file, .. } if file == UNET), "{error}");
        fetch(&hub(&server.url, cache.path())).unwrap();
        assert_eq!(ranges(&server)[4..], [Some(4000)]);
    }

    #[test]
    fn a_cancelled_download_is_taken_up_by_the_next_run() {
        let repo = FakeRepo::stable_diffusion();
        let server = serve(&repo, []);
        let cache = tempfile::tempdir().unwrap();
        let mut listener = Listener { stop_after: Some(100_000), ..Listener::default() };
        let error = fetch_with(&hub(&server.url, cache.path()), &mut listener).unwrap_err();
        assert!(matches!(error, HubError::Cancelled), "{error}");
        let present = fs::metadata(incomplete(&repo, cache.path())).unwrap().len();
        assert!((1..UNET_BYTES as u64).contains(&present), "{present}");

        let mut listener = Listener::default();
        let fetched = fetch_with(&hub(&server.url, cache.path()), &mut listener).unwrap();
        assert_eq!(ranges(&server), [None, Some(present as usize)]);
        assert_eq!(listener.started, [(UNET.to_owned(), UNET_BYTES as u64, present)]);
        assert_eq!(listener.advanced, UNET_BYTES as u64 - present);
        assert_eq!(unet(&fetched.path), repo.files[UNET]);
    }

    #[test]
    fn a_whole_file_without_its_name_is_verified_and_named() {
        let repo = FakeRepo::stable_diffusion();
        let server = serve(&repo, []);
        let cache = tempfile::tempdir().unwrap();
        let part = incomplete(&repo, cache.path());
        create_parent(&part).unwrap();
        fs::write(&part, &repo.files[UNET]).unwrap();
        let fetched = fetch(&hub(&server.url, cache.path())).unwrap();
        assert_eq!(ranges(&server), []);
        assert_eq!(unet(&fetched.path), repo.files[UNET]);
    }

    #[test]
    fn a_partial_file_that_is_too_long_is_begun_anew() {
        let repo = FakeRepo::stable_diffusion();
        let server = serve(&repo, []);
        let cache = tempfile::tempdir().unwrap();
        let part = incomplete(&repo, cache.path());
        create_parent(&part).unwrap();
        fs::write(&part, vec![0; UNET_BYTES + 1]).unwrap();
        let fetched = fetch(&hub(&server.url, cache.path())).unwrap();
        assert_eq!(ranges(&server), [None]);
        assert_eq!(unet(&fetched.path), repo.files[UNET]);
    }

    #[test]
    fn a_server_that_sends_only_whole_files_is_understood() {
        let repo = FakeRepo::stable_diffusion();
        let whole = |repo: &FakeRepo, _: &Request| Reply::status(200).body(repo.files[UNET].clone());
        let server = serve(&repo, [cut(1000), Box::new(whole)]);
        let cache = tempfile::tempdir().unwrap();
        let mut listener = Listener::default();
        let fetched = fetch_with(&hub(&server.url, cache.path()), &mut listener).unwrap();
        assert_eq!(unet(&fetched.path), repo.files[UNET]);
        let unets = listener.started.iter().filter(|(file, ..)| file == UNET);
        assert_eq!(unets.map(|(_, _, present)| *present).collect::<Vec<_>>(), [0, 0]);
    }

    #[test]
    fn another_range_than_was_asked_for_is_an_error() {
        let repo = FakeRepo::stable_diffusion();
        let shifted = |repo: &FakeRepo, _: &Request| {
            Reply::status(206).header("content-range", "bytes 5-9/10").body(&repo.files[UNET][5..10])
        };
        let server = serve(&repo, [cut(1000), Box::new(shifted)]);
        let cache = tempfile::tempdir().unwrap();
        let error = fetch(&hub(&server.url, cache.path())).unwrap_err();
        assert!(matches!(error, HubError::BadAnswer { .. }), "{error}");
    }

    #[test]
    fn a_wrong_checksum_removes_the_file_and_the_next_run_succeeds() {
        let repo = FakeRepo::stable_diffusion();
        let flipped = |repo: &FakeRepo, _: &Request| {
            let mut bytes = repo.files[UNET].clone();
            bytes[7] ^= 1;
            Reply::status(200).body(bytes)
        };
        let server = serve(&repo, [Box::new(flipped) as Answer]);
        let cache = tempfile::tempdir().unwrap();
        let error = fetch(&hub(&server.url, cache.path())).unwrap_err();
        assert!(matches!(&error, HubError::Damaged { file, .. } if file == UNET), "{error}");
        assert!(error.to_string().contains("try again"), "{error}");
        assert!(!incomplete(&repo, cache.path()).exists());
        assert!(!incomplete(&repo, cache.path()).with_extension("").exists());
        let fetched = fetch(&hub(&server.url, cache.path())).unwrap();
        assert_eq!(unet(&fetched.path), repo.files[UNET]);
    }

    #[test]
    fn more_bytes_than_announced_are_an_error() {
        let repo = FakeRepo::stable_diffusion();
        let long = |repo: &FakeRepo, _: &Request| Reply::status(200).body([&repo.files[UNET][..], b"more"].concat());
        let server = serve(&repo, [Box::new(long) as Answer]);
        let cache = tempfile::tempdir().unwrap();
        let error = fetch(&hub(&server.url, cache.path())).unwrap_err();
        assert!(matches!(&error, HubError::Damaged { file, .. } if file == UNET), "{error}");
        assert!(!incomplete(&repo, cache.path()).exists());
    }

    #[test]
    fn a_server_in_trouble_is_asked_again() {
        let repo = FakeRepo::stable_diffusion();
        let status = |status| -> Answer { Box::new(move |_, _| Reply::status(status).header("retry-after", "0")) };
        let server = serve(&repo, [status(503), status(429), status(500)]);
        let cache = tempfile::tempdir().unwrap();
        let fetched = fetch(&hub(&server.url, cache.path())).unwrap();
        assert_eq!(unet(&fetched.path), repo.files[UNET]);
    }

    #[test]
    fn a_hash_that_would_leave_the_cache_is_refused() {
        let repo = FakeRepo::stable_diffusion();
        let server = Server::start(move |request| match request.method.as_str() {
            "HEAD" => Reply::status(200).header("etag", "\"../../../x\"").body("{}"),
            _ => repo.answer(request),
        });
        let cache = tempfile::tempdir().unwrap();
        let error = fetch(&hub(&server.url, cache.path())).unwrap_err();
        assert!(matches!(error, HubError::BadAnswer { .. }), "{error}");
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
    }

    #[test]
    fn redirects_without_end_are_given_up() {
        let repo = FakeRepo::stable_diffusion();
        let around = |_: &FakeRepo, request: &Request| Reply::status(307).header("location", &request.path);
        let server = serve(&repo, (0..6).map(|_| Box::new(around) as Answer));
        let cache = tempfile::tempdir().unwrap();
        let error = fetch(&hub(&server.url, cache.path())).unwrap_err();
        assert!(error.to_string().contains("too many redirects"), "{error}");
    }

    #[test]
    fn a_renamed_repository_is_followed() {
        let repo = FakeRepo::stable_diffusion();
        let server = Server::start(move |request| {
            if let Some(rest) = request.path.strip_prefix("/org/model/") {
                return Reply::status(307).header("location", &format!("/new/model/{rest}"));
            }
            let path = request.path.replace("/new/model/", "/org/model/");
            repo.answer(&Request { path, ..request.clone() })
        });
        let cache = tempfile::tempdir().unwrap();
        let fetched = fetch(&hub(&server.url, cache.path())).unwrap();
        assert_eq!(unet(&fetched.path).len(), UNET_BYTES);
    }

    #[test]
    fn a_file_that_another_process_downloads_is_waited_for() {
        let repo = FakeRepo::stable_diffusion();
        let server = serve(&repo, []);
        let cache = tempfile::tempdir().unwrap();
        let path = cache.path().join(".locks/models--org--model").join(format!("{}.lock", repo.etag(UNET)));
        let held = lock(&path, UNET, &mut ()).unwrap();
        let mut listener = Listener { stop_waiting: true, ..Listener::default() };
        let error = fetch_with(&hub(&server.url, cache.path()), &mut listener).unwrap_err();
        assert!(matches!(error, HubError::Cancelled), "{error}");
        assert!(listener.waits[0].contains("OtherProcess"), "{:?}", listener.waits);

        let release = thread::spawn(move || {
            thread::sleep(Duration::from_millis(300));
            drop(held);
        });
        fetch(&hub(&server.url, cache.path())).unwrap();
        release.join().unwrap();
    }
}
