//! The bundled font: how wide a label is, and its outline.
//!
//! Glyphs stand side by side at their advance widths. That is all the shaping that Latin, Greek and Cyrillic need, which is what
//! the font covers; a shaping library would add only kerning. A character that the font lacks is a box.

use std::sync::LazyLock;

use ttf_parser::{Face, GlyphId, OutlineBuilder};
use unicode_normalization::UnicodeNormalization as _;
use zeno::{Command, Point};

static REGULAR: &[u8] = include_bytes!("../assets/Inter-Regular.otf");
static SEMI_BOLD: &[u8] = include_bytes!("../assets/Inter-SemiBold.otf");

static FACES: LazyLock<[Face<'static>; 2]> =
    LazyLock::new(|| [REGULAR, SEMI_BOLD].map(|font| Face::parse(font, 0).expect("the bundled font is whole")));

/// The file of the regular weight.
pub(crate) fn regular() -> &'static [u8] {
    REGULAR
}

/// How a label looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Style {
    /// In pixels.
    pub(crate) size: f32,
    pub(crate) is_bold: bool,
}

/// A label of a figure.
pub(crate) const LABEL: Style = Style { size: 15.0, is_bold: false };
/// A label of a chart.
pub(crate) const SMALL: Style = Style { size: 14.0, is_bold: false };
/// What stands above several of them.
pub(crate) const HEADING: Style = Style { size: 16.0, is_bold: true };

impl Style {
    fn face(self) -> &'static Face<'static> {
        &FACES[usize::from(self.is_bold)]
    }

    /// Pixels per unit of the font.
    fn scale(self) -> f32 {
        self.size / f32::from(self.face().units_per_em())
    }

    /// Glyphs of a text and their widths in pixels. Accents are joined with their letters first, as the font has them.
    fn glyphs(self, label: &str) -> impl Iterator<Item = (GlyphId, f32)> {
        label.nfc().filter(|character| !is_invisible(*character)).map(move |character| {
            // Glyph 0 is the box.
            let glyph = self.face().glyph_index(character).unwrap_or(GlyphId(0));
            (glyph, self.scale() * f32::from(self.face().glyph_hor_advance(glyph).unwrap_or(0)))
        })
    }
}

/// A character that only tells how others are set: joiners, marks of direction, selectors of variants.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// How wide a text is, in pixels.
pub(crate) fn width(label: &str, style: Style) -> f32 {
    style.glyphs(label).map(|(_, width)| width).sum()
}

/// The outline of a text that begins at a place of its baseline, in pixels.
pub(crate) fn outline(label: &str, (mut x, y): (f32, f32), style: Style) -> Vec<Command> {
    let mut pen = Pen { x, y, scale: style.scale(), commands: Vec::new() };
    for (glyph, width) in style.glyphs(label) {
        pen.x = x;
        // A space has none.
        style.face().outline_glyph(glyph, &mut pen);
        x += width;
    }
    pen.commands
}

/// Takes outlines in units of the font, whose y grows upwards.
struct Pen {
    x: f32,
    y: f32,
    scale: f32,
    commands: Vec<Command>,
}

impl Pen {
    fn at(&self, x: f32, y: f32) -> Point {
        Point::new(self.x + self.scale * x, self.y - self.scale * y)
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.commands.push(Command::MoveTo(self.at(x, y)));
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.commands.push(Command::LineTo(self.at(x, y)));
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.commands.push(Command::QuadTo(self.at(x1, y1), self.at(x, y)));
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.commands.push(Command::CurveTo(self.at(x1, y1), self.at(x2, y2), self.at(x, y)));
    }

    fn close(&mut self) {
        self.commands.push(Command::Close);
    }
}

/// The beginning of a text that fits into a width in pixels, with an ellipsis where that is not all.
pub(crate) fn shortened(label: &str, style: Style, most: f32) -> String {
    /// No label has more; a text of a megabyte must not be measured.
    const LONGEST: usize = 200;
    let characters: Vec<_> = label.chars().take(LONGEST + 1).collect();
    // An ellipsis may be wider than what it stands for.
    if characters.len() <= LONGEST && width(label, style) <= most {
        return label.to_owned();
    }
    let beginning = |length: usize| characters[..length].iter().collect::<String>().trim_end().to_owned() + "…";
    let fits = |length: &usize| width(&beginning(*length), style) <= most;
    beginning((0..characters.len()).rev().find(fits).unwrap_or(0))
}

/// A text in rows of at most a width in pixels, broken between words; where `rows` are too few, the last one ends with an ellipsis.
pub(crate) fn wrapped(label: &str, style: Style, most: f32, rows: usize) -> Vec<String> {
    let mut words = label.split_whitespace().peekable();
    let mut lines = Vec::new();
    while words.peek().is_some() && lines.len() + 1 < rows {
        let mut line = shortened(words.next().unwrap_or_default(), style, most);
        while let Some(longer) =
            words.peek().map(|word| format!("{line} {word}")).filter(|text| width(text, style) <= most)
        {
            line = longer;
            words.next();
        }
        lines.push(line);
    }
    let rest: Vec<_> = words.collect();
    if !rest.is_empty() {
        lines.push(shortened(&rest.join(" "), style, most));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_font_is_used() {
        let narrow = width("iiii", LABEL);
        assert!(narrow > 10.0 && narrow < width("WWWW", LABEL) / 2.0, "{narrow}");
        assert!(width("lion", HEADING) > width("lion", LABEL));
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
    fn rows_break_between_words() {
        let text = "a lion and a red car on a beach";
        let rows = wrapped(text, LABEL, 90.0, 9);
        assert!(rows.len() > 2 && rows.iter().all(|row| width(row, LABEL) <= 90.0), "{rows:?}");
        assert_eq!(rows.join(" "), text);
        let two = wrapped(text, LABEL, 90.0, 2);
        assert!(two.len() == 2 && two[1].ends_with('…') && two[0] == rows[0], "{two:?}");
        assert_eq!(wrapped(text, LABEL, 1e6, 4), [text]);
        assert!(wrapped("", LABEL, 90.0, 4).is_empty() && wrapped(&"x".repeat(1000), LABEL, 50.0, 4)[0].ends_with('…'));
    }

    #[test]
    fn accents_stand_on_their_letters() {
        // As macOS writes file names: a letter and a combining accent.
        let (joined, apart) = ("café ö Ž й", "cafe\u{301} o\u{308} Z\u{30c} и\u{306}");
        assert_eq!(outline(apart, (0.0, 0.0), LABEL), outline(joined, (0.0, 0.0), LABEL));
        assert_ne!(outline("é", (0.0, 0.0), LABEL), outline("e", (0.0, 0.0), LABEL));
    }

    #[test]
    fn every_covered_script_has_its_letters() {
        let missing = outline("\u{fffd}", (0.0, 0.0), LABEL);
        for letter in "azAZ09ßñłőžΑαωЁжя—…×≤".chars() {
            let drawn = outline(&letter.to_string(), (0.0, 0.0), LABEL);
            assert!(!drawn.is_empty() && drawn != missing, "{letter}");
        }
    }

    #[test]
    fn what_is_invisible_takes_no_room() {
        assert!((width("a\u{200d}b\u{fe0f}", LABEL) - width("ab", LABEL)).abs() < 1e-6);
        assert!(outline(" ", (0.0, 0.0), LABEL).is_empty() && width(" ", LABEL) > 2.0);
    }
}
