use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use ae_settings::SettingsError;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::EngineError;

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
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body must be {0}: set the Content-Type to it")]
    ContentType(&'static str),
    #[error("{0} jobs wait already: try again later")]
    QueueFull(usize),
    #[error("the server is stopping")]
    Stopping,
    #[error("{0}")]
    Failed(String),
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// What is wrong and what to do.
    error: String,
    /// The field of the request that is wrong, if it is one; a member of a group as `attend_and_excite.sigma`.
    field: Option<String>,
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Refused { field, message } => Self::Invalid { field, message },
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

    fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ContentType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::QueueFull(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        // What was not read of a body must not be taken for the next request.
        let is_half_read = matches!(self, Self::Timeout | Self::TooLarge(_));
        let (status, error) = (self.status(), self.to_string());
        let field = if let Self::Invalid { field, .. } = self { field } else { None };
        let mut response = (status, Json(ErrorBody { error, field })).into_response();
        if is_half_read {
            response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        }
        response
    }
}
