//! The web code that reports and the studio share: the view of a run, and what pages are made of.

use image::RgbImage;
use maud::{Markup, PreEscaped, html};

use crate::data_uri;
use crate::sheet::{scaled, tile_size};

/// Names and contents of files of the page folder.
macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../page/", $name)))),*] };
}

/// The modules of the view, each after those that it imports, and its style.
pub const VIEW_FILES: &[(&str, &str)] = files![
    "dom.js",
    "rove.js",
    "maps.js",
    "heat.js",
    "steps.js",
    "chart.js",
    "attention.js",
    "panel.js",
    "player.js",
    "scale.js",
    "chips.js",
    "view.js",
    "settings.js",
    "view.css",
];

/// What only reports have.
pub(crate) const REPORT_FILES: &[(&str, &str)] = files!["report.js", "report.css"];

const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' \
    height='32' rx='6' fill='%231d3b53'/%3E%3Ccircle cx='11' cy='19' r='6' fill='%23f98e09'/%3E%3Ccircle cx='22' cy='12' r='5' \
    fill='%23fcffa4'/%3E%3C/svg%3E";

fn has_ending(name: &str, ending: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, found)| found == ending)
}

/// The files of an ending, one after the other. A report is one module, so that nothing is imported.
pub(crate) fn joined(ending: &str) -> String {
    let files = VIEW_FILES.iter().chain(REPORT_FILES).filter(|(name, _)| has_ending(name, ending));
    let lines = files.flat_map(|(_, content)| content.lines()).filter(|line| !line.starts_with("import "));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// A page that is one file. Its policy keeps it from ever loading another; `policy` says what may be in it beside its style,
/// as `img-src data:`.
pub fn one_file(title: &str, policy: &str, style: &str, body: &Markup) -> Markup {
    let policy =
        format!("default-src 'none'; {policy}; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'");
    html! {
        (PreEscaped("<!doctype html>\n"))
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(policy);
                title { (title) }
                link rel="icon" href=(ICON);
                style { (PreEscaped(style)) }
            }
            body { (body) }
        }
    }
}

/// The style that reports and the studio share: colours, light and dark, and what is used on every page.
///
/// # Panics
///
/// Never: the file is there.
pub fn style() -> &'static str {
    VIEW_FILES.iter().find(|(name, _)| *name == "view.css").expect("the view has a style").1
}

/// A picture inside a page, as the address of a JPEG whose longer side is `longest` pixels at most.
pub fn preview(picture: &RgbImage, longest: u32) -> String {
    let (width, height) = picture.dimensions();
    if width.max(height) <= longest {
        return data_uri::jpeg(picture);
    }
    data_uri::jpeg(&scaled(picture, tile_size((width, height), longest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_is_no_larger_than_it_may_be() {
        let picture = |width, height| RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 0]));
        let size = |uri: &str| {
            use base64::Engine as _;
            let bytes = uri.strip_prefix("data:image/jpeg;base64,").unwrap();
            let bytes = base64::engine::general_purpose::STANDARD.decode(bytes).unwrap();
            let picture = image::load_from_memory(&bytes).unwrap();
            (picture.width(), picture.height())
        };
        assert_eq!(size(&preview(&picture(512, 256), 128)), (128, 64));
        assert_eq!(size(&preview(&picture(50, 100), 128)), (50, 100));
    }

    /// In the joined script, too, a module must come after those it uses at once, and no import may be left over.
    #[test]
    fn modules_stand_after_what_they_import() {
        let modules: Vec<_> =
            VIEW_FILES.iter().chain(REPORT_FILES).filter(|(name, _)| has_ending(name, "js")).collect();
        for (place, (name, content)) in modules.iter().enumerate() {
            for line in content.lines().filter(|line| line.starts_with("import")) {
                let imported = line.rsplit_once("\"./").and_then(|(_, rest)| rest.split_once('"')).expect(line).0;
                let known = modules[..place].iter().any(|(earlier, _)| *earlier == imported);
                assert!(known && line.ends_with(';'), "{name}: {line}");
            }
        }
        assert!(!joined("js").contains("\nimport"));
    }
}
