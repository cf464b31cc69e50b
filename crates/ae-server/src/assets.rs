use std::sync::LazyLock;

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
    "shortcuts.js",
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

/// All files beside the page; the view of a run is that of the reports.
fn all_files() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    FILES.iter().chain(ae_figures::page::VIEW_FILES)
}

/// The page asks for all its modules at once, and not for each after those that import it.
static WITH_MODULES: LazyLock<String> = LazyLock::new(|| {
    // The theme is no module.
    let modules = all_files().filter(|(name, _)| ending(name) == "js" && *name != "theme.js");
    let links: Vec<_> =
        modules.map(|(name, _)| format!(r#"<link rel="modulepreload" href="/assets/{name}">"#)).collect();
    PAGE.replace("<!-- modules -->", &links.join("\n"))
});

pub(crate) async fn page() -> Html<&'static str> {
    Html(WITH_MODULES.as_str())
}

pub(crate) async fn file(Name(name): Name) -> Result<Response, ApiError> {
    let file = all_files().find(|(known, _)| *known == name);
    let (name, content) = file.ok_or_else(|| ApiError::NotFound("the page has no such file".to_owned()))?;
    Ok(([(header::CONTENT_TYPE, content_type(name))], *content).into_response())
}

/// The icon at the place where browsers look for it on answers that are not the page, as a refusal without a token.
pub(crate) async fn icon() -> Response {
    ([(header::CONTENT_TYPE, content_type("icon.svg"))], ICON).into_response()
}

fn ending(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}

fn content_type(name: &str) -> &'static str {
    match ending(name) {
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_module_and_style_that_is_there() {
        for (name, _) in all_files().filter(|(name, _)| ending(name) != "svg") {
            assert!(WITH_MODULES.contains(&format!("\"/assets/{name}\"")), "{name}");
        }
        assert!(!WITH_MODULES.contains("<!-- modules -->"));
    }
}
