use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

use crate::error::ApiError;
use crate::name::Name;

/// The page and its files, compiled in.
const PAGE: &str = include_str!("../page/index.html");

const ICON: &str = include_str!("../page/icon.svg");

/// Names and contents of files beside the page.
macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../page/", $name)))),*] };
}

const FILES: &[(&str, &str)] = files![
    "api.js",
    "app.css",
    "app.js",
    "control.js",
    "copy.js",
    "detail.js",
    "dropped.js",
    "estimate.js",
    "examples.js",
    "extras.js",
    "fields.js",
    "form.css",
    "form.js",
    "gallery.js",
    "history.js",
    "icon.svg",
    "jobs.js",
    "keys.js",
    "live.js",
    "mask.js",
    "menu.js",
    "presets.js",
    "restore.js",
    "sizes.js",
    "start.css",
    "start.js",
    "store.js",
    "theme.js",
    "title.js",
    "toast.js",
    "touch.css",
    "words.js",
];

pub(crate) async fn page() -> Html<&'static str> {
    Html(PAGE)
}

pub(crate) async fn file(Name(name): Name) -> Result<Response, ApiError> {
    // The view of a run is that of the reports.
    let mut files = FILES.iter().chain(ae_figures::page::VIEW_FILES);
    let file = files.find(|(known, _)| *known == name);
    let (name, content) = file.ok_or_else(|| ApiError::NotFound("the page has no such file".to_owned()))?;
    Ok(([(header::CONTENT_TYPE, content_type(name))], *content).into_response())
}

/// The icon at the place where browsers look for it on answers that are not the page, as a refusal without a token.
pub(crate) async fn icon() -> Response {
    ([(header::CONTENT_TYPE, content_type("icon.svg"))], ICON).into_response()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    }
}
