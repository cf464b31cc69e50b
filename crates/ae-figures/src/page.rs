//! The web code that reports and the studio share: the view of a run, and what pages are made of.

use image::RgbImage;

use crate::data_uri;
use crate::drawing;
use crate::sheet::{scaled, tile_size};

/// Names and contents of files of the page folder.
macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../page/", $name)))),*] };
}

/// The modules of the view, each after those that it imports, and its style.
pub const VIEW_FILES: &[(&str, &str)] = files![
    "dom.js",
    "maps.js",
    "heat.js",
    "steps.js",
    "chart.js",
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

pub(crate) const REPORT: &str = include_str!("../page/report.html");

fn has_ending(name: &str, ending: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, found)| found == ending)
}

/// The files of an ending, one after the other. A report is one module, so that nothing is imported.
pub(crate) fn joined(ending: &str) -> String {
    let files = VIEW_FILES.iter().chain(REPORT_FILES).filter(|(name, _)| has_ending(name, ending));
    let lines = files.flat_map(|(_, content)| content.lines()).filter(|line| !line.starts_with("import "));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// A template with the contents of its `{{NAMES}}`; what looks like a name in the contents stays as it is.
///
/// # Panics
///
/// When a name of the template has no end.
pub fn filled(template: &str, content: impl Fn(&str) -> String) -> String {
    let mut parts = template.split("{{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").expect("a name ends");
        filled += &content(name);
        filled += rest;
    }
    filled
}

/// A text as HTML and XML have it, in elements and between double quotes; what no XML may contain is replaced.
pub fn escaped(text: &str) -> String {
    drawing::escaped(text)
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
