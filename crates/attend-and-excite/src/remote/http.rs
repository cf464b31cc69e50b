use std::fmt;
use std::io::{BufReader, Read};
use std::time::Duration;

use serde_json::Value;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body, RequestBuilder};

use super::RemoteError;
use super::address::Address;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest silence of a studio, which says every few seconds that it is still there.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
/// Above every picture and report.
const LARGEST: u64 = 512 << 20;

/// Requests to a studio.
#[derive(Clone)]
pub(super) struct Http {
    agent: Agent,
    base: String,
    authorization: Option<String>,
}

impl fmt::Debug for Http {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("base", &self.base).finish_non_exhaustive()
    }
}

type Answer = Result<Response<Body>, ureq::Error>;

impl Http {
    pub(super) fn new(address: &str, token: Option<&str>) -> Result<Self, RemoteError> {
        let Address { base, token: own, is_local } = Address::read(address)?;
        let token = own.as_deref().or(token);
        if !token.unwrap_or_default().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            return Err(RemoteError::Token);
        }
        let config = Agent::config_builder()
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            // The token stays with the studio.
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_per_read(Some(READ_TIMEOUT));
        let config = if is_local { config.proxy(None) } else { config };
        let authorization = token.map(|token| format!("Bearer {token}"));
        Ok(Self { agent: config.build().into(), base, authorization })
    }

    /// The address, without the token.
    pub(super) fn shown(&self) -> &str {
        &self.base
    }

    pub(super) fn no_studio(&self) -> RemoteError {
        RemoteError::NoStudio { studio: self.base.clone() }
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, RemoteError> {
        self.json(&self.bytes(path)?)
    }

    pub(super) fn bytes(&self, path: &str) -> Result<Vec<u8>, RemoteError> {
        let answer = self.open(path)?;
        self.read(answer)
    }

    /// The lines of an answer that goes on.
    pub(super) fn lines(&self, path: &str) -> Result<BufReader<impl Read + use<>>, RemoteError> {
        Ok(BufReader::new(self.open(path)?.into_body().into_reader()))
    }

    pub(super) fn post(&self, path: &str, kind: &str, body: &[u8]) -> Result<Value, RemoteError> {
        let request = self.authorized(self.agent.post(self.url(path))).header("Content-Type", kind);
        let answer = self.checked(request.send(body))?;
        self.json(&self.read(answer)?)
    }

    pub(super) fn delete(&self, path: &str) -> Result<(), RemoteError> {
        let request = self.authorized(self.agent.delete(self.url(path)));
        self.checked(request.call()).map(drop)
    }

    fn open(&self, path: &str) -> Result<Response<Body>, RemoteError> {
        let request = self.authorized(self.agent.get(self.url(path)));
        self.checked(request.call())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A request with the token, if there is one.
    fn authorized<Body>(&self, request: RequestBuilder<Body>) -> RequestBuilder<Body> {
        match &self.authorization {
            Some(authorization) => request.header("Authorization", authorization),
            None => request,
        }
    }

    pub(super) fn unreachable(&self, reason: impl fmt::Display) -> RemoteError {
        RemoteError::Unreachable { studio: self.base.clone(), reason: reason.to_string() }
    }

    fn json(&self, bytes: &[u8]) -> Result<Value, RemoteError> {
        serde_json::from_slice(bytes).map_err(|_| self.no_studio())
    }

    fn read(&self, mut answer: Response<Body>) -> Result<Vec<u8>, RemoteError> {
        answer.body_mut().with_config().limit(LARGEST).read_to_vec().map_err(|error| self.unreachable(error))
    }

    /// An answer that is none of an error.
    fn checked(&self, answer: Answer) -> Result<Response<Body>, RemoteError> {
        let answer = answer.map_err(|error| self.unreachable(error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let studio = self.base.clone();
        if status == StatusCode::UNAUTHORIZED {
            return Err(RemoteError::Unauthorized { studio });
        }
        let said: Value = serde_json::from_slice(&self.read(answer)?).unwrap_or_default();
        let Some(message) = said["error"].as_str().map(str::to_owned) else { return Err(self.no_studio()) };
        if status.is_server_error() {
            return Err(RemoteError::Failed { studio, message });
        }
        Err(RemoteError::Refused { studio, field: said["field"].as_str().map(str::to_owned), message })
    }
}
