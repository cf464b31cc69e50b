//! A hub-shaped server on localhost, for tests.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::retry::Patience;
use crate::{Fetched, FileChoice, Hub, HubError, HubSettings, ModelId, Progress, Waiting};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub(crate) const UNET: &str = "unet/diffusion_pytorch_model.safetensors";
pub(crate) const TOKEN: &str = "hf_secret";
/// More than one chunk, so that a download is seen to advance.
pub(crate) const UNET_BYTES: usize = 400_000;

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// The first byte asked for, where it is not the whole.
    pub(crate) fn range_start(&self) -> Option<usize> {
        Some(self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().unwrap())
    }

    /// Whether it is for the content of this file.
    pub(crate) fn gets(&self, file: &str) -> bool {
        self.method == "GET" && self.path.ends_with(file)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// After how many bytes of the body the connection is cut.
    cut: Option<usize>,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), cut: None }
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn cut(mut self, after: usize) -> Self {
        self.cut = Some(after);
        self
    }

    fn send(&self, request: &Request, mut stream: &TcpStream) -> std::io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Status\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if !self.headers.iter().any(|(name, _)| name == "content-length") {
            let _ = write!(head, "content-length: {}\r\n", self.body.len());
        }
        let mut bytes = format!("{head}\r\n").into_bytes();
        let end = if request.method == "HEAD" { 0 } else { self.cut.unwrap_or(self.body.len()) };
        bytes.extend_from_slice(&self.body[..end]);
        stream.write_all(&bytes)
    }
}

/// A server that answers as a function says, until it is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (requests, stop) = (Arc::<Mutex<Vec<Request>>>::default(), Arc::<AtomicBool>::default());
        let (log, stopped) = (Arc::clone(&requests), Arc::clone(&stop));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                if let Some(request) = read_request(&stream) {
                    log.lock().unwrap().push(request.clone());
                    // The client may have hung up, which is its right.
                    let _ = answer(&request).send(&request, &stream);
                }
            }
        });
        Self { url, requests, stop }
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The requests for the content of a file.
    pub(crate) fn gets(&self, file: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.gets(file)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let start = lines.next()?;
    let mut words = start.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let headers = lines.take_while(|line| !line.is_empty()).filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_ascii_lowercase(), value.to_owned()))
    });
    Some(Request { method, path, headers: headers.collect() })
}

/// The repository `org/model` of a hub.
#[derive(Clone, Debug)]
pub(crate) struct FakeRepo {
    pub(crate) commit: String,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// The server to which large files redirect.
    pub(crate) cdn: Option<String>,
}

impl FakeRepo {
    /// A small Stable Diffusion model, and files beside it that no pipeline needs.
    pub(crate) fn stable_diffusion() -> Self {
        let index = r#"{"_class_name": "StableDiffusionPipeline", "text_encoder": ["transformers", "CLIPTextModel"],
            "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}"#;
        let unet: Vec<u8> =
            (0..UNET_BYTES as u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let text = |text: &str| text.as_bytes().to_vec();
        let files = [
            ("model_index.json", text(index)),
            ("README.md", text("readme")),
            ("scheduler/scheduler_config.json", text(r#"{"scheduler": 1}"#)),
            ("tokenizer/vocab.json", text(r#"{"a": 1}"#)),
            ("tokenizer/merges.txt", text("a b")),
            ("text_encoder/config.json", text(r#"{"text_encoder": 1}"#)),
            ("text_encoder/model.safetensors", text("text encoder, float32")),
            ("text_encoder/model.fp16.safetensors", text("text encoder, float16")),
            ("vae/config.json", text(r#"{"vae": 1}"#)),
            ("vae/diffusion_pytorch_model.safetensors", text("vae, float32")),
            ("unet/config.json", text(r#"{"unet": 1}"#)),
            (UNET, unet),
            ("unet/diffusion_pytorch_model.fp16.safetensors", text("unet, float16")),
            ("safety_checker/model.safetensors", text("safety checker")),
        ];
        let files = files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
        Self { commit: COMMIT.to_owned(), files, cdn: None }
    }

    /// What the hub calls a file's content: its SHA-256, or for a small file git's hash.
    pub(crate) fn etag(&self, file: &str) -> String {
        let content = &self.files[file];
        if is_large(file) { format!("{:x}", Sha256::digest(content)) } else { crate::damage::git_hash(content) }
    }

    pub(crate) fn answer(&self, request: &Request) -> Reply {
        let path = &request.path;
        if let Some(revision) = path.strip_prefix("/api/models/org/model/revision/") {
            assert!(["main", "v1", &self.commit].contains(&revision), "{revision}");
            let siblings: Vec<_> = self.files.keys().map(|name| serde_json::json!({"rfilename": name})).collect();
            let listing = serde_json::json!({"id": "org/model", "sha": self.commit, "siblings": siblings});
            return Reply::status(200).body(listing.to_string());
        }
        if let Some(file) = path.strip_prefix("/cdn/") {
            // As the real ones: an ETag of its own, and nothing of the hub's.
            return self.content(request, file).header("etag", "\"of-the-cdn\"");
        }
        let Some(file) = path.strip_prefix(&format!("/org/model/resolve/{}/", self.commit)) else {
            return Reply::status(404).header("x-error-code", "RepoNotFound");
        };
        if !self.files.contains_key(file) {
            return Reply::status(404).header("x-error-code", "EntryNotFound");
        }
        let reply = match &self.cdn {
            Some(cdn) if is_large(file) => Reply::status(302).header("location", &format!("{cdn}/cdn/{file}")),
            _ => self.content(request, file),
        };
        let reply = reply.header("x-repo-commit", &self.commit);
        if is_large(file) {
            reply
                .header("x-linked-etag", &format!("\"{}\"", self.etag(file)))
                .header("x-linked-size", &self.files[file].len().to_string())
        } else {
            reply.header("etag", &format!("\"{}\"", self.etag(file)))
        }
    }

    /// The bytes of a file, from where the request wants them.
    pub(crate) fn content(&self, request: &Request, file: &str) -> Reply {
        let bytes = &self.files[file];
        match request.range_start() {
            None => Reply::status(200).body(bytes.clone()),
            Some(start) => Reply::status(206)
                .header("content-range", &format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len()))
                .body(&bytes[start..]),
        }
    }
}

/// Whether git LFS would hold the file.
fn is_large(file: &str) -> bool {
    file.ends_with(".safetensors")
}

/// A hub with a token that waits no longer than a test may.
pub(crate) fn hub(endpoint: &str, cache_dir: &Path) -> Hub {
    let settings =
        HubSettings { endpoint: endpoint.to_owned(), token: Some(TOKEN.to_owned()), ..HubSettings::new(cache_dir) };
    with_short_patience(settings)
}

/// The same without requests.
pub(crate) fn offline_hub(endpoint: &str, cache_dir: &Path) -> Hub {
    let settings = HubSettings { endpoint: endpoint.to_owned(), offline: true, ..HubSettings::new(cache_dir) };
    with_short_patience(settings)
}

fn with_short_patience(settings: HubSettings) -> Hub {
    let mut hub = Hub::new(settings).unwrap();
    hub.patience = Patience { tries: 4, first_wait: Duration::from_millis(1), longest_wait: Duration::from_secs(5) };
    hub
}

/// Fetches `org/model` in full precision.
pub(crate) fn fetch(hub: &Hub) -> Result<Fetched, HubError> {
    fetch_with(hub, &mut ())
}

pub(crate) fn fetch_with(hub: &Hub, progress: &mut dyn Progress) -> Result<Fetched, HubError> {
    hub.fetch(&ModelId::parse("org/model").unwrap(), &FileChoice::default(), progress)
}

/// Writes down what it hears, and can end the fetch after some bytes.
#[derive(Debug, Default)]
pub(crate) struct Listener {
    pub(crate) planned: Vec<(usize, u64)>,
    /// Files with their sizes and the bytes present.
    pub(crate) started: Vec<(String, u64, u64)>,
    pub(crate) advanced: u64,
    pub(crate) finished: Vec<String>,
    pub(crate) waits: Vec<String>,
    pub(crate) stop_after: Option<u64>,
    pub(crate) stop_waiting: bool,
}

impl Progress for Listener {
    fn planned(&mut self, files: usize, bytes: u64) {
        self.planned.push((files, bytes));
    }

    fn started(&mut self, file: &str, size: u64, present: u64) {
        self.started.push((file.to_owned(), size, present));
    }

    fn advanced(&mut self, bytes: u64) -> ControlFlow<()> {
        self.advanced += bytes;
        if self.stop_after.is_some_and(|limit| self.advanced >= limit) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn finished(&mut self, file: &str) {
        self.finished.push(file.to_owned());
    }

    fn waiting(&mut self, waiting: Waiting<'_>) -> ControlFlow<()> {
        // How long an answer takes is the machine's matter.
        if matches!(waiting, Waiting::Answer) {
            return ControlFlow::Continue(());
        }
        self.waits.push(format!("{waiting:?}"));
        if self.stop_waiting { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
