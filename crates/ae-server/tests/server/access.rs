//! Who may speak to the server.

use ae_server::{Config, Server, ServerError};

use crate::client::Answer;
use crate::engine::Painter;
use crate::place::Place;

const JSON: (&str, &str) = ("Content-Type", "application/json");
const BODY: &[u8] = br#"{"prompt": "paint"}"#;

fn generate(place: &Place, headers: &[(&str, &str)]) -> Answer {
    place.client.send("POST", "/api/generate", headers, BODY)
}

#[test]
fn pages_of_other_origins_are_refused() {
    let place = Place::new();
    let own = format!("http://{}", place.client.0);
    assert_eq!(generate(&place, &[JSON, ("Origin", &own), ("Sec-Fetch-Site", "same-origin")]).status, 202);
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        let refused = generate(&place, &[JSON, ("Origin", origin)]);
        assert_eq!(
            (refused.status, refused.error().as_str()),
            (403, "the request comes from a page of another origin")
        );
    }
    assert_eq!(generate(&place, &[JSON, ("Sec-Fetch-Site", "cross-site")]).status, 403);
    // What a form can send without asking.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        assert_eq!(generate(&place, &[("Content-Type", kind)]).status, 415);
    }
    let preflight = place.client.send("OPTIONS", "/api/generate", &[("Origin", "http://evil.example")], b"");
    assert!(preflight.status == 403 && !preflight.head.to_lowercase().contains("access-control"), "{}", preflight.head);
}

#[test]
fn a_foreign_name_is_not_this_server() {
    let place = Place::new();
    for path in ["/", "/api/gallery", "/assets/app.js"] {
        let answer = place.client.send("GET", path, &[("Host", "evil.example")], b"");
        assert_eq!(answer.status, 403, "{path}");
    }
    assert_eq!(place.client.send("GET", "/api/info", &[("Host", "localhost:1234")], b"").status, 200);
}

#[test]
fn a_token_opens_the_page_and_the_api() {
    let token = "0123456789abcdef-token";
    let place = Place::with(|config| config.token = Some(token.to_owned()));
    let bearer = format!("Bearer {token}");
    for path in ["/", "/api/info", "/api/gallery/x/picture.png", "/assets/app.js", "/sdapi/v1/progress", "/nothing"] {
        assert_eq!(place.client.get(path).status, 401, "{path}");
        let wrong = place.client.send("GET", path, &[("Authorization", "Bearer 0123456789abcdef-wrong")], b"");
        assert_eq!(wrong.status, 401, "{path}");
    }
    assert_eq!(generate(&place, &[JSON]).status, 401);
    assert_eq!(generate(&place, &[JSON, ("Authorization", &bearer)]).status, 202);
    assert_eq!(place.client.get("/?token=wrong").status, 401);
    let opened = place.client.get(&format!("/?token={token}"));
    assert_eq!((opened.status, opened.header("location").as_str()), (303, "/"));
    let cookie = opened.header("set-cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(place.client.send("GET", "/", &[("Cookie", &format!("other=1; {cookie}"))], b"").status, 200);
    let cross = [JSON, ("Cookie", cookie), ("Origin", "http://evil.example")];
    assert_eq!(generate(&place, &cross).status, 403);
}

#[test]
fn another_address_than_loopback_has_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(folder.path());
    config.address = ([0, 0, 0, 0], 0).into();
    let server = Server::bind(config.clone(), Painter).unwrap();
    let token = server.url().split_once("?token=").unwrap().1.to_owned();
    assert_eq!(token.len(), 32);
    drop(server);
    config.token = Some("guess".to_owned());
    assert!(matches!(Server::bind(config, Painter), Err(ServerError::Token { .. })));
}

#[test]
fn a_taken_port_is_named() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let config = Config { address: place.client.0, ..Config::new(folder.path()) };
    let error = Server::bind(config, Painter).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot listen on {}", place.client.0)), "{error}");
}

/// A browser asks for it beside an answer that names no icon, as a refusal does, and shows an error where there is none.
#[test]
fn browsers_find_the_icon_without_the_page() {
    let answer = Place::new().client.get("/favicon.ico");
    assert_eq!((answer.status, answer.header("content-type")), (200, "image/svg+xml".to_owned()));
}

#[test]
fn every_answer_tells_the_browser_to_be_careful() {
    let place = Place::new();
    for path in ["/", "/api/info", "/assets/app.js"] {
        let answer = place.client.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-security-policy").starts_with("default-src 'self'"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}
