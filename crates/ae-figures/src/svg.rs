//! Text and lines: SVG, made into pixels with the bundled font.

use std::sync::{Arc, LazyLock};

use image::RgbImage;
use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::fontdb::Database;
use resvg::usvg::{Options, Tree};

use crate::data_uri::base64;

/// The family of the bundled font, and what a viewer without it may take.
pub(crate) const FAMILY: &str = "Inter, sans-serif";

static REGULAR: &[u8] = include_bytes!("../assets/Inter-Regular.otf");

static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    fonts.load_font_data(REGULAR.to_vec());
    fonts.load_font_data(include_bytes!("../assets/Inter-SemiBold.otf").to_vec());
    fonts.set_sans_serif_family("Inter");
    Arc::new(fonts)
});

/// A style that brings the font along, so that a document looks the same everywhere.
pub(crate) fn font_style() -> String {
    let font = base64(REGULAR);
    format!("<style>@font-face{{font-family:Inter;src:url(data:font/otf;base64,{font})}}</style>")
}

/// How a label looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Style {
    /// In pixels.
    pub(crate) size: f32,
    pub(crate) weight: u32,
}

/// A label of a figure.
pub(crate) const LABEL: Style = Style { size: 15.0, weight: 400 };
/// What stands above several of them.
pub(crate) const HEADING: Style = Style { size: 16.0, weight: 600 };

/// Where the given place is in a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

fn tree(svg: &str) -> Tree {
    let options = Options { fontdb: Arc::clone(&FONTS), font_family: "Inter".to_owned(), ..Options::default() };
    Tree::from_str(svg, &options).expect("figures are well-formed")
}

/// The pixels of an SVG document on white, `factor` times its size.
pub(crate) fn rasterise(svg: &str, factor: f32) -> RgbImage {
    let tree = tree(svg);
    let side = |length: f32| {
        #[expect(clippy::cast_sign_loss, reason = "a size")]
        let pixels = (length * factor).round().max(1.0) as u32;
        pixels
    };
    let (width, height) = (side(tree.size().width()), side(tree.size().height()));
    let mut pixels = Pixmap::new(width, height).expect("a figure has a size");
    pixels.fill(Color::WHITE);
    resvg::render(&tree, Transform::from_scale(factor, factor), &mut pixels.as_mut());
    let opaque = pixels.data().chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    RgbImage::from_raw(width, height, opaque).expect("three bytes per pixel")
}

/// A document of a size in pixels around some elements.
pub(crate) fn document((width, height): (u32, u32), elements: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"{FAMILY}\" fill=\"#1a1a1a\">{elements}</svg>"
    )
}

/// A text whose baseline is at `y`.
pub(crate) fn text(text: &str, (x, y): (f32, f32), anchor: Anchor, Style { size, weight }: Style) -> String {
    let anchor = match anchor {
        Anchor::Start => "start",
        Anchor::Middle => "middle",
        Anchor::End => "end",
    };
    let text = escaped(text);
    format!(
        "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" font-weight=\"{weight}\" text-anchor=\"{anchor}\">{text}</text>"
    )
}

/// A text in which the replacement character stands for what no XML may contain.
pub(crate) fn printable(text: &str) -> String {
    let is_foreign = |character: char| character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}');
    text.replace(is_foreign, "\u{fffd}")
}

/// A [`printable`] text as XML has it.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in printable(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// How wide a text is, in pixels.
pub(crate) fn width(label: &str, style: Style) -> f32 {
    let line = text(label, (0.0, 20.0), Anchor::Start, style);
    tree(&document((1, 1), &line)).root().abs_bounding_box().width()
}

/// The beginning of a text that fits into a width in pixels, with an ellipsis where that is not all.
pub(crate) fn shortened(label: &str, style: Style, most: f32) -> String {
    /// No label has more; a text of a megabyte shall not be laid out.
    const LONGEST: usize = 200;
    let characters: Vec<_> = label.chars().take(LONGEST).collect();
    let beginning = |length: usize| {
        let mut beginning: String = characters[..length].iter().collect();
        if length < label.chars().count() {
            beginning.truncate(beginning.trim_end().len());
            beginning.push('…');
        }
        beginning
    };
    // An ellipsis may be wider than what it stands for.
    if characters.len() == label.chars().count() && width(label, style) <= most {
        return label.to_owned();
    }
    // By halves: each look costs a layout.
    let (mut fits, mut exceeds) = (0, characters.len() + 1);
    while exceeds - fits > 1 {
        let middle = fits.midpoint(exceeds);
        if width(&beginning(middle), style) <= most { fits = middle } else { exceeds = middle }
    }
    beginning(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_font_is_used() {
        let narrow = width("iiii", LABEL);
        assert!(narrow > 10.0 && narrow < width("WWWW", LABEL) / 2.0, "{narrow}");
        assert!(width("lion", HEADING) > width("lion", LABEL));
        let picture = rasterise(&document((60, 24), &text("lion", (4.0, 18.0), Anchor::Start, LABEL)), 2.0);
        assert_eq!(picture.dimensions(), (120, 48));
        assert!(picture.pixels().any(|pixel| pixel.0[0] < 80), "no ink");
    }

    #[test]
    fn labels_fit() {
        assert_eq!(shortened("lion", LABEL, 100.0), "lion");
        assert_eq!(shortened("lion", LABEL, width("lion", LABEL)), "lion");
        let cut = shortened("a very long description of a lion", LABEL, 100.0);
        assert!(cut.ends_with('…') && cut.starts_with("a very") && width(&cut, LABEL) <= 100.0, "{cut}");
        assert_eq!(shortened("WWWW", LABEL, 1.0), "…");
        assert!(shortened(&"x".repeat(1_000_000), LABEL, 1e9).ends_with('…'));
    }

    #[test]
    fn any_text_can_be_drawn() {
        for label in ["<b>&\"", "\0\u{8}\n", "🐱 ライオン", "\u{fffe}", ""] {
            rasterise(&document((50, 20), &text(label, (0.0, 15.0), Anchor::Middle, LABEL)), 1.0);
        }
    }

    #[test]
    fn a_character_that_the_font_lacks_is_a_box() {
        for label in ["🐱", "ラ", "\u{fffd}"] {
            let picture = rasterise(&document((40, 24), &text(label, (4.0, 18.0), Anchor::Start, LABEL)), 1.0);
            assert!(picture.pixels().any(|pixel| pixel.0[0] < 120), "{label} is blank");
        }
    }
}
