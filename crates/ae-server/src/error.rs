use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use ae_files::show_foreign;
use ae_settings::SettingsError;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::EngineError;
use crate::public_text::without_paths;

/// Why a server could not start or had to stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Another program has the port, or the address is not this machine's.
    #[error("cannot listen on {address}: {cause}; choose another port or address")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The gallery's folder cannot be used.
    #[error("cannot use '{path}' for the gallery: {cause}; choose another folder", path = path.display())]
    Gallery {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another server has the gallery.
    #[error("the gallery '{path}' is in use by another server; stop it or choose another folder", path = path.display())]
    GalleryInUse {
        /// The folder.
        path: PathBuf,
    },
    /// A token that could be guessed, or not be sent.
    #[error("the token must have at least {least} characters, of ASCII letters, digits, '-' and '_'")]
    Token {
        /// The least number of characters.
        least: usize,
    },
    /// The system gave no thread, or no random numbers.
    #[error("cannot start the server: {0}")]
    System(io::Error),
}

/// Why a request was refused, with its status.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The request cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// It can be read, but not be done.
    #[error("{message}")]
    Invalid {
        /// The field that is wrong, if it is one.
        field: Option<String>,
        /// What is wrong and what to do.
        message: String,
    },
    /// It asks for more than the server allows, or than it has left.
    #[error("{message}")]
    Limit {
        status: StatusCode,
        /// The name of the limit.
        limit: &'static str,
        /// The field of the request, if it is one.
        field: Option<String>,
        message: String,
    },
    #[error("a token is needed: open the address that the server printed, or send 'Authorization: Bearer TOKEN'")]
    Unauthorized,
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0} does not work here; see /api/openapi.json")]
    Method(String),
    #[error("the body did not arrive in time; send it faster")]
    Timeout,
    #[error("the body must be {0}: set the Content-Type to it")]
    ContentType(&'static str),
    #[error("the server is stopping; the jobs that wait go on when it is started again")]
    Stopping,
    /// Something of the server failed; its reason goes to the log, and to the client without the paths of the machine.
    #[error("{0}")]
    Failed(String),
}

/// What the log says of an answer and the client does not read.
#[derive(Clone, Debug)]
pub(crate) struct Detail(pub(crate) String);

/// The limit that an answer names, for the counters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LimitName(pub(crate) &'static str);

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// What is wrong and what to do.
    error: String,
    /// The field of the request that is wrong, if it is one; a member of a group as `attend_and_excite.sigma`.
    field: Option<String>,
    /// The limit that the request exceeds, or that is reached; `/api/info` has the limits.
    limit: Option<&'static str>,
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Refused { field, message } => Self::Invalid { field, message: without_paths(&message) },
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<SettingsError> for ApiError {
    fn from(error: SettingsError) -> Self {
        let field = match &error {
            SettingsError::Unknown { field, .. } | SettingsError::Value { field, .. } => Some(field.clone()),
            SettingsError::Format { .. } => Some("format".to_owned()),
            SettingsError::Conflict { one, .. } => Some((*one).to_owned()),
            _ => None,
        };
        Self::Invalid { field, message: error.to_string() }
    }
}

impl ApiError {
    /// A request that cannot be done, for a reason that is not in one of its fields.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { field: None, message: message.into() }
    }

    /// A request that cannot be done as one of its fields says.
    pub(crate) fn of_field(field: &str, message: String) -> Self {
        Self::Invalid { field: Some(field.to_owned()), message }
    }

    /// A number, a length or a count of a field that is above its limit.
    pub(crate) fn above(field: &str, limit: &'static str, message: String) -> Self {
        Self::Limit { status: StatusCode::UNPROCESSABLE_ENTITY, limit, field: Some(field.to_owned()), message }
    }

    /// A body that is larger than a limit.
    pub(crate) fn too_large(limit: &'static str, most: usize) -> Self {
        let message = format!("the body is larger than {most} bytes ({limit})");
        Self::Limit { status: StatusCode::PAYLOAD_TOO_LARGE, limit, field: None, message }
    }

    /// A client that has its share.
    pub(crate) fn too_many(limit: &'static str, message: impl std::fmt::Display) -> Self {
        let message = format!("{message} ({limit}): try again later");
        Self::Limit { status: StatusCode::TOO_MANY_REQUESTS, limit, field: None, message }
    }

    /// A server that has nothing left.
    pub(crate) fn busy(limit: &'static str, message: impl std::fmt::Display) -> Self {
        let message = format!("{message} ({limit}): try again later");
        Self::Limit { status: StatusCode::SERVICE_UNAVAILABLE, limit, field: None, message }
    }

    /// The body of the answer.
    fn body(&self) -> ErrorBody {
        /// Characters of an error, and of the name of a field in it, that come from the request.
        const LONGEST: [usize; 2] = [2000, 200];
        let message = self.to_string();
        let message = if matches!(self, Self::Failed(_)) { without_paths(&message) } else { message };
        let (field, limit) = match self {
            Self::Invalid { field, .. } => (field.as_ref(), None),
            Self::Limit { field, limit, .. } => (field.as_ref(), Some(*limit)),
            _ => (None, None),
        };
        let field = field.map(|field| show_foreign(field, LONGEST[1], false));
        ErrorBody { error: show_foreign(&message, LONGEST[0], true), field, limit }
    }

    /// The body of the answer as text.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(&self.body()).expect("an error is JSON")
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::ContentType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Limit { status, .. } => *status,
            Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Json(self.body())).into_response();
        // What was not read of a body must not be taken for the next request; who has no token has no further one.
        let ends = [
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::UNAUTHORIZED,
            StatusCode::FORBIDDEN,
        ];
        if ends.contains(&status) {
            response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        }
        match self {
            Self::Failed(detail) => drop(response.extensions_mut().insert(Detail(detail))),
            Self::Limit { limit, .. } => drop(response.extensions_mut().insert(LimitName(limit))),
            _ => {}
        }
        response
    }
}
