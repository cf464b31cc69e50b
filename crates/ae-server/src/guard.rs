//! Who may speak to the server, and what every answer has.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::access::Access;
use crate::app::App;
use crate::context::Context;
use crate::error::ApiError;
use crate::log;

/// Lets a request through, or answers it.
pub(crate) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let context = Context::new(&request, matches!(*app.access, Access::Token(_)));
    let line = log::Line::new(&context, &request);
    let mut response = match check(&app, &request) {
        Ok(Pass::Through) => {
            if let Some(place) = &context.place {
                place.trust();
            }
            context.clone().scope(next.run(request)).await
        }
        Ok(Pass::ForAll) => context.clone().scope(next.run(request)).await,
        Ok(Pass::WithCookie(token)) => {
            let cookie = format!("{}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000", app.cookie);
            (StatusCode::SEE_OTHER, [(header::SET_COOKIE, cookie.as_str()), (header::LOCATION, "/")]).into_response()
        }
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(header::HeaderValue::from_static(value));
    }
    if let Ok(id) = header::HeaderValue::from_str(&context.id) {
        headers.insert("x-request-id", id);
    }
    line.end(&app.metrics, &response, start.elapsed());
    response
}

/// What every answer says to a browser: everything comes from here, nobody may show us in a frame or read us from another origin.
const HEADERS: [(header::HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

enum Pass {
    Through,
    /// Whoever asks may know, and is not known by it.
    ForAll,
    /// The page was opened with the token in its address.
    WithCookie(String),
}

fn check(app: &App, request: &Request) -> Result<Pass, ApiError> {
    // Those who watch over the process have no token, and call it by any name.
    if request.uri().path() == "/healthz" {
        return Ok(Pass::ForAll);
    }
    let headers = request.headers();
    let host = host(headers, request.uri()).unwrap_or_default();
    match &*app.access {
        // A name that leads here by somebody else's DNS would make their page ours.
        Access::Loopback if !is_loopback_name(host) => {
            let host: String = host.chars().take(60).collect();
            return Err(ApiError::Forbidden(format!("the Host '{host}' is not this server: open http://127.0.0.1")));
        }
        Access::Loopback => {}
        access @ Access::Token(_) => {
            if let Some(token) = query_token(request).filter(|token| access.knows(token)) {
                return Ok(Pass::WithCookie(token.to_owned()));
            }
            if !tokens(headers, &app.cookie).any(|token| access.knows(&token)) {
                return Err(ApiError::Unauthorized);
            }
        }
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
        if authority != Some(host) {
            return Err(ApiError::Forbidden("the request comes from a page of another origin".to_owned()));
        }
    }
    // What a browser says of the page behind a request, where it says it.
    let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok()).unwrap_or("none");
    if request.method() != Method::GET && !["same-origin", "none"].contains(&site) {
        return Err(ApiError::Forbidden("the request comes from a page of another site".to_owned()));
    }
    Ok(Pass::Through)
}

/// The token in the address of the page.
fn query_token(request: &Request) -> Option<&str> {
    let is_page = request.method() == Method::GET && request.uri().path() == "/";
    let query = request.uri().query().filter(|_| is_page)?;
    query.split('&').find_map(|pair| pair.strip_prefix("token="))
}

/// The tokens that a request carries.
fn tokens<'a>(headers: &'a HeaderMap, cookie: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = authorization.and_then(|value| value.strip_prefix("Bearer "));
    let password = authorization.and_then(|value| value.strip_prefix("Basic ")).and_then(password);
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies = cookies.flat_map(|cookies| cookies.split(';'));
    let named = cookies.filter_map(move |pair| pair.trim().strip_prefix(cookie)?.strip_prefix('='));
    bearer.into_iter().chain(named).map(Cow::Borrowed).chain(password.map(Cow::Owned))
}

/// The password of a user of any name, which clients of AUTOMATIC1111's program send.
fn password(encoded: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}

/// Name and port that the client believes to speak to.
fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    let header = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    header.or_else(|| uri.authority().map(axum::http::uri::Authority::as_str))
}

/// Whether a name, with or without a port, can only mean this machine.
fn is_loopback_name(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in ["localhost", "LOCALHOST:7860", "127.0.0.1:1", "127.8.9.1", "[::1]:7860", "[::1]"] {
            assert!(is_loopback_name(host), "{host}");
        }
        for host in ["", "evil.example", "127.0.0.1.evil.example:80", "localhost.evil", "192.168.0.1", "0.0.0.0:7860"] {
            assert!(!is_loopback_name(host), "{host}");
        }
    }
}
