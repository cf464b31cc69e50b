use std::fmt::{self, Write as _};
use std::io::{self, Read};
use std::time::Duration;

use serde::Deserialize;
use ureq::http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, ETAG, LOCATION, RANGE};
use ureq::http::uri::Authority;
use ureq::http::{HeaderMap, Response, StatusCode, Uri};
use ureq::{Agent, Body, RequestBuilder};

use crate::model_id::{is_commit, is_lower_hex};
use crate::retry::{Failure, Retry};
use crate::settings::without_userinfo;
use crate::{HubError, HubSettings, ModelId};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest silence of a server that has a request to answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest time for a whole listing, however much of it comes now and then.
const LISTING_TIMEOUT: Duration = Duration::from_mins(2);
/// Beyond this a listing is none: a name has about fifty bytes.
const MAX_LISTING: u64 = 32 << 20;
const MAX_REDIRECTS: usize = 5;
/// The hub itself, to which mirrors redirect: huggingface_hub's `HF_URL_HOSTS`.
const HUBS: [&str; 2] = ["https://huggingface.co", "https://hf.co"];
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

const ERROR_CODE: &str = "x-error-code";
const ERROR_MESSAGE: &str = "x-error-message";
const LINKED_ETAG: &str = "x-linked-etag";
const LINKED_SIZE: &str = "x-linked-size";

/// The requests to a hub.
///
/// They are made here and not by the crate hf-hub. Its 0.5 sends the token to the server that a file's address redirects to,
/// appends to a partial file whatever the server answers, compares no checksum, and panics on a redirect without an address. Its
/// 1.1 downloads anew from the first byte and compares no SHA-256 over plain HTTP, and needs tokio, reqwest and hf-xet.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    endpoint: String,
    /// The origins whose answers are a hub's: what a mirror does not have, it lets others answer for.
    pub(crate) hubs: Vec<String>,
    authorization: Option<String>,
    listing_timeout: Duration,
}

impl fmt::Debug for Client {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", &without_userinfo(&self.endpoint)).finish_non_exhaustive()
    }
}

/// A revision of a repository.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) commit: String,
    pub(crate) files: Vec<String>,
}

/// What the hub says of a revision.
#[derive(Deserialize)]
struct RepoInfo {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

/// A file of a repository.
#[derive(Clone, Debug)]
pub(crate) struct RemoteFile {
    /// The path in the repository.
    pub(crate) path: String,
    /// The name of its blob: the SHA-256 of a large file, git's own hash of a small one.
    pub(crate) etag: String,
    pub(crate) size: u64,
}

impl RemoteFile {
    /// The checksum, for files that git LFS or Xet holds.
    pub(crate) fn sha256(&self) -> Option<&str> {
        Some(self.etag.as_str()).filter(|etag| etag.len() == 64 && is_lower_hex(etag))
    }
}

/// The content of a file from some byte on.
pub(crate) struct Content {
    /// The byte it starts at: the one asked for, or 0 when the server sends only whole files.
    pub(crate) offset: u64,
    pub(crate) reader: Box<dyn Read>,
    /// Whom it comes from, for errors.
    pub(crate) host: String,
}

impl Client {
    pub(crate) fn new(settings: &HubSettings) -> Result<Self, HubError> {
        let endpoint = settings.endpoint.trim_end_matches('/').to_owned();
        // A password with a slash in it is none of a valid address.
        let shown = || endpoint.rsplit_once('@').map_or(endpoint.as_str(), |(_, host)| host).to_owned();
        let request_error = |reason: String| HubError::Request { url: shown(), reason };
        let uri: Uri = endpoint.parse().map_err(|error| request_error(format!("{error}")))?;
        // Behind a host stands nothing but the number of a port; what else follows a colon may be a password.
        let is_host = |authority: &Authority| {
            authority.port().is_some() || authority.as_str().rsplit('@').next() == Some(authority.host())
        };
        if !matches!(uri.scheme_str(), Some("http" | "https")) || !uri.authority().is_some_and(is_host) {
            return Err(request_error("expected an address such as https://huggingface.co".to_owned()));
        }
        let agent = Agent::config_builder()
            .user_agent(USER_AGENT)
            .http_status_as_error(false)
            // Followed here, where the token stays behind.
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_per_read(Some(READ_TIMEOUT))
            .build()
            .into();
        let authorization = settings.token.as_ref().map(|token| format!("Bearer {token}"));
        // A character that no header can have would look like trouble of the network.
        if !settings.token.iter().flat_map(|token| token.bytes()).all(|byte| byte.is_ascii_graphic()) {
            return Err(HubError::InvalidToken);
        }
        let hubs = HUBS.into_iter().chain([origin(&endpoint)]).map(str::to_owned).collect();
        Ok(Self { agent, endpoint, hubs, authorization, listing_timeout: LISTING_TIMEOUT })
    }

    /// Asks for the commit of a revision and the names of its files.
    pub(crate) fn listing(&self, id: &ModelId) -> Result<Listing, Failure> {
        let revision = id.revision().replace('/', "%2F");
        let mut url = format!("{}/api/models/{}/revision/{revision}", self.endpoint, id.repo());
        // A repository that was renamed is redirected.
        for _ in 0..=MAX_REDIRECTS {
            let request = self.authorized(self.agent.get(&url), &url);
            let request = request.config().timeout_global(Some(self.listing_timeout)).build();
            let mut response = request.call().map_err(|error| transport_failure(&url, error))?;
            if response.status().is_redirection() {
                url = redirect_target(&url, response.headers())?;
                continue;
            }
            if !response.status().is_success() {
                return Err(self.status_failure(&url, &response, id, None));
            }
            let body = response.body_mut().with_config().limit(MAX_LISTING).read_to_vec();
            let body = body.map_err(|error| match error {
                ureq::Error::BodyExceedsLimit(_) => bad_answer(&url, "its listing is too long").into(),
                error => transport_failure(&url, error),
            })?;
            let RepoInfo { sha, siblings } = serde_json::from_slice(&body)
                .map_err(|error| bad_answer(&url, &format!("its listing of a repository: {error}")))?;
            if !is_commit(&sha) {
                return Err(bad_answer(&url, "its listing names no commit").into());
            }
            return Ok(Listing { commit: sha, files: siblings.into_iter().map(|sibling| sibling.rfilename).collect() });
        }
        Err(bad_answer(&url, "too many redirects").into())
    }

    /// Asks for the size and the hash of a file.
    ///
    /// As huggingface_hub does (`_httpx_follow_relative_redirects_with_backoff`), a redirect is followed within a host and to a hub,
    /// and no farther: where the hub sends us to the server that holds the content, its own answer tells the hash.
    pub(crate) fn metadata(&self, id: &ModelId, commit: &str, path: &str) -> Result<RemoteFile, Failure> {
        let mut url = self.file_url(id, commit, path);
        for _ in 0..=MAX_REDIRECTS {
            let request = self.authorized(self.agent.head(&url), &url).header(ACCEPT_ENCODING, "identity");
            let response = request.call().map_err(|error| transport_failure(&url, error))?;
            let (status, headers) = (response.status(), response.headers());
            if !status.is_success() && !status.is_redirection() {
                return Err(self.status_failure(&url, &response, id, Some(path)));
            }
            // The server that holds the content may have an ETag of its own: the hub's is the one that counts.
            let own = status.is_success();
            let etag = header(headers, LINKED_ETAG).or_else(|| header(headers, ETAG.as_str()).filter(|_| own));
            let size =
                header(headers, LINKED_SIZE).or_else(|| header(headers, CONTENT_LENGTH.as_str()).filter(|_| own));
            if let (Some(etag), Some(size)) = (etag, size) {
                let etag = blob_name(etag).ok_or_else(|| bad_answer(&url, &format!("the ETag {etag:?} of {path}")))?;
                let size = size.parse().map_err(|_| bad_answer(&url, &format!("the size {size:?} of {path}")))?;
                return Ok(RemoteFile { path: path.to_owned(), etag, size });
            }
            if own {
                return Err(bad_answer(&url, &format!("it tells neither ETag nor size of {path}")).into());
            }
            let next = redirect_target(&url, headers)?;
            if origin(&next) != origin(&url) && !self.is_hub(&next) {
                let reason = format!("it redirects {path} to {} without the header {LINKED_ETAG}", host(&next));
                return Err(bad_answer(&url, &reason).into());
            }
            url = next;
        }
        Err(bad_answer(&url, "too many redirects").into())
    }

    /// Asks for the content of a file from a byte on.
    pub(crate) fn content(&self, id: &ModelId, commit: &str, path: &str, offset: u64) -> Result<Content, Failure> {
        let mut url = self.file_url(id, commit, path);
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.authorized(self.agent.get(&url), &url).header(ACCEPT_ENCODING, "identity");
            if offset > 0 {
                request = request.header(RANGE, format!("bytes={offset}-"));
            }
            let response = request.call().map_err(|error| transport_failure(&url, error))?;
            let offset = match response.status() {
                StatusCode::OK => 0,
                StatusCode::PARTIAL_CONTENT if range_start(response.headers()) == Some(offset) => offset,
                StatusCode::PARTIAL_CONTENT => {
                    return Err(bad_answer(&url, "it sends another range than was asked for").into());
                }
                status if status.is_redirection() => {
                    url = redirect_target(&url, response.headers())?;
                    continue;
                }
                _ => return Err(self.status_failure(&url, &response, id, Some(path))),
            };
            return Ok(Content { offset, reader: Box::new(response.into_body().into_reader()), host: host(&url) });
        }
        Err(bad_answer(&url, "too many redirects").into())
    }

    fn file_url(&self, id: &ModelId, commit: &str, path: &str) -> String {
        format!("{}/{}/resolve/{commit}/{}", self.endpoint, id.repo(), encoded(path))
    }

    fn is_hub(&self, url: &str) -> bool {
        self.hubs.iter().any(|hub| hub == origin(url))
    }

    /// Adds the token, which is for the hub alone, not for the server where it keeps its files.
    fn authorized<B>(&self, request: RequestBuilder<B>, url: &str) -> RequestBuilder<B> {
        match self.authorization.as_deref().filter(|_| origin(url) == origin(&self.endpoint)) {
            Some(authorization) => request.header(AUTHORIZATION, authorization),
            None => request,
        }
    }

    /// What a status other than success means, as in huggingface_hub's `hf_raise_for_status`.
    fn status_failure(&self, url: &str, response: &Response<Body>, id: &ModelId, file: Option<&str>) -> Failure {
        let (status, headers) = (response.status(), response.headers());
        if status == StatusCode::TOO_MANY_REQUESTS {
            let seconds = header(headers, "retry-after").and_then(|seconds| seconds.parse().ok());
            let retry = seconds.map_or(Retry::Soon, |seconds| Retry::After(Duration::from_secs(seconds)));
            return Failure::new(HubError::RateLimited { seconds }, retry);
        }
        let server = HubError::Server { host: host(url), status: status.as_u16() };
        // Another server's refusal says nothing of the model; its signed addresses expire, for one.
        if status.is_server_error() || !self.is_hub(url) {
            return Failure::new(server, Retry::Soon);
        }
        let repo = id.repo().to_owned();
        let message = header(headers, ERROR_MESSAGE);
        let not_found = || HubError::RepoNotFound { repo: repo.clone(), endpoint: without_userinfo(&self.endpoint) };
        let no_revision = || HubError::RevisionNotFound { repo: repo.clone(), revision: id.revision().to_owned() };
        let error = match (header(headers, ERROR_CODE), status, file) {
            (Some("RevisionNotFound"), ..) => no_revision(),
            (Some("RepoNotFound"), ..) => not_found(),
            (code @ Some("GatedRepo"), ..) | (code, StatusCode::FORBIDDEN, _) => {
                let default = if code.is_some() { "it is gated" } else { "status 403" };
                HubError::AccessDenied { repo, reason: message.unwrap_or(default).to_owned() }
            }
            (_, StatusCode::UNAUTHORIZED, _) if message.is_some_and(|text| text.starts_with("Invalid credentials")) => {
                HubError::InvalidToken
            }
            (_, StatusCode::NOT_FOUND, Some(file)) => HubError::FileNotFound { repo, file: file.to_owned() },
            (_, StatusCode::NOT_FOUND, None) if id.names_revision() => no_revision(),
            // The hub does not tell strangers whether a private repository exists.
            (_, StatusCode::NOT_FOUND, None) | (_, StatusCode::UNAUTHORIZED, _) => not_found(),
            _ => server,
        };
        error.into()
    }
}

/// A header as text; what is not ASCII counts as absent.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The name of a blob from its ETag, `"..."` or `W/"..."`. It becomes a file name, so that anything else is none.
fn blob_name(etag: &str) -> Option<String> {
    let name = etag.trim_start_matches("W/").trim_matches('"');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    ((1..=128).contains(&name.len()) && name.bytes().all(plain)).then(|| name.to_owned())
}

/// The first byte of `Content-Range: bytes FIRST-LAST/TOTAL`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    header(headers, CONTENT_RANGE.as_str())?.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}

/// Where a redirect leads. It may not lead from an encrypted connection to an open one.
fn redirect_target(url: &str, headers: &HeaderMap) -> Result<String, HubError> {
    let location =
        header(headers, LOCATION.as_str()).ok_or_else(|| bad_answer(url, "a redirect without an address"))?;
    let origin = origin(url);
    let target = if location.starts_with("http://") || location.starts_with("https://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{}:{location}", origin.split(':').next().unwrap_or_default())
    } else if location.starts_with('/') {
        format!("{origin}{location}")
    } else {
        return Err(bad_answer(url, &format!("a redirect to {location:?}")));
    };
    if url.starts_with("https://") && !target.starts_with("https://") {
        return Err(bad_answer(url, "a redirect from https to http"));
    }
    Ok(target)
}

/// A path as a part of an address.
fn encoded(path: &str) -> String {
    let mut encoded = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> &str {
    let authority = url.find("://").map_or(0, |position| position + 3);
    let end = url[authority..].find(['/', '?', '#']).map_or(url.len(), |position| authority + position);
    &url[..end]
}

/// Host and port of an address, without the signature that the rest of it may hold, and without the name and password before them.
fn host(url: &str) -> String {
    let origin = without_userinfo(origin(url));
    origin.split_once("://").map_or(origin.as_str(), |(_, host)| host).to_owned()
}

fn bad_answer(url: &str, reason: &str) -> HubError {
    HubError::BadAnswer { host: host(url), reason: reason.to_owned() }
}

/// What a request that got no answer means.
fn transport_failure(url: &str, error: ureq::Error) -> Failure {
    let reason = error.to_string();
    let unreachable = match error {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => true,
        // As slow as this it would be the next time too.
        ureq::Error::Timeout(ureq::Timeout::Global) => {
            return HubError::Interrupted { host: host(url), reason: "it takes too long".to_owned() }.into();
        }
        ureq::Error::Timeout(_) | ureq::Error::Protocol(_) => false,
        // Of a certificate that is not trusted, for one.
        ureq::Error::Io(source) if source.kind() == io::ErrorKind::InvalidData => {
            return HubError::Request { url: without_userinfo(origin(url)), reason }.into();
        }
        // A failed name lookup has no kind of its own, so that the others are told apart.
        ureq::Error::Io(source) => !is_broken_off(source.kind()),
        _ => return HubError::Request { url: without_userinfo(origin(url)), reason }.into(),
    };
    let host = host(url);
    let error =
        if unreachable { HubError::Unreachable { host, reason } } else { HubError::Interrupted { host, reason } };
    Failure::new(error, Retry::Soon)
}

fn is_broken_off(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NotConnected
            | io::ErrorKind::TimedOut
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::WouldBlock
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_of_an_address_is_its_start() {
        assert_eq!(origin("https://huggingface.co/org/name?x=/"), "https://huggingface.co");
        assert_eq!(origin("http://localhost:80?x"), "http://localhost:80");
        assert_ne!(origin("https://huggingface.co.evil.org/"), origin("https://huggingface.co"));
        assert_eq!(host("https://cdn:8080/a?Signature=secret"), "cdn:8080");
        assert_eq!(host("https://user:secret@cdn:8080/a"), "cdn:8080");
    }

    #[test]
    fn a_redirect_may_be_relative_but_not_unencrypted() {
        let target = |location: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, location.parse().unwrap());
            redirect_target("https://hub/a/b", &headers)
        };
        assert_eq!(target("/c?d").unwrap(), "https://hub/c?d");
        assert_eq!(target("https://cdn/c").unwrap(), "https://cdn/c");
        assert_eq!(target("//cdn/c?d").unwrap(), "https://cdn/c?d");
        for location in ["http://cdn/c", "c", "file:///etc/passwd", ""] {
            assert!(target(location).is_err(), "{location}");
        }
    }

    #[test]
    fn a_path_is_written_as_addresses_have_it() {
        assert_eq!(encoded("a/b_c-d.e~1"), "a/b_c-d.e~1");
        assert_eq!(encoded("a b#c?d%e/ö"), "a%20b%23c%3Fd%25e/%C3%B6");
    }

    #[test]
    fn what_cannot_be_sent_is_an_error_at_once_and_shows_no_password() {
        let of = |endpoint: &str, token: Option<&str>| {
            let token = token.map(str::to_owned);
            Client::new(&HubSettings { endpoint: endpoint.to_owned(), token, ..HubSettings::new("/x") })
        };
        for token in ["hf_ä", "hf_\u{1f431}", "hf_\u{1}"] {
            assert!(matches!(of("https://hub", Some(token)), Err(HubError::InvalidToken)), "{token:?}");
        }
        assert!(of("https://hub", Some("hf_abc")).is_ok());
        for endpoint in
            ["ftp://user:secret@host", "user:secret@host", "http://user:sec/secret@host", "http://user:secret@"]
        {
            let error = of(endpoint, None).unwrap_err();
            assert!(!error.to_string().contains("sec"), "{error}");
            assert!(!format!("{error:?}").contains("sec"), "{error:?}");
        }
        let client = of("http://user:secret@host", None).unwrap();
        assert!(!format!("{client:?}").contains("secret"));
    }

    #[test]
    fn a_listing_that_drips_is_given_up() {
        use std::io::Write as _;
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", server.local_addr().unwrap());
        let mut client = Client::new(&HubSettings { endpoint, ..HubSettings::new("/x") }).unwrap();
        client.listing_timeout = Duration::from_millis(400);
        let dripping = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
            while stream.write_all(b" ").is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let start = std::time::Instant::now();
        let failure = client.listing(&ModelId::parse("org/name").unwrap()).unwrap_err();
        assert_eq!(failure.retry, Retry::Never);
        assert!(failure.error.to_string().contains("it takes too long"), "{}", failure.error);
        assert!(start.elapsed() < Duration::from_secs(5));
        drop(client);
        dripping.join().unwrap();
    }

    #[test]
    fn an_etag_that_is_no_file_name_is_none() {
        assert_eq!(blob_name("\"abc-1\"").as_deref(), Some("abc-1"));
        assert_eq!(blob_name("W/\"abc\"").as_deref(), Some("abc"));
        for etag in ["", "\"\"", "\"../x\"", "a/b", "a\\b", "a.incomplete", ".", ".."] {
            assert_eq!(blob_name(etag), None, "{etag}");
        }
    }
}
