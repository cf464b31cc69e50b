//! Lines, dots and labels: written as SVG with real text, or drawn into pixels.

use image::{Rgb, RgbImage, imageops};
use maud::{Markup, PreEscaped, html};
use zeno::{Command, Mask, PathBuilder as _, Stroke, Style as Paint, Transform};

use crate::data_uri::{base64, png};
use crate::font::{Style, outline, regular, width};
use crate::sheet::scaled;

/// The family of the bundled font, and what a viewer without it may take.
pub(crate) const FAMILY: &str = "Inter, sans-serif";

/// Text and outlines, and the lines of a grid.
pub(crate) const INK: Rgb<u8> = Rgb([0x1a; 3]);
pub(crate) const GRID: Rgb<u8> = Rgb([0xe1; 3]);
const PAPER: Rgb<u8> = Rgb([0xff; 3]);

/// A place in pixels, from left and top.
pub(crate) type Place = (f32, f32);

/// How a line is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pen {
    pub(crate) colour: Rgb<u8>,
    /// In pixels.
    pub(crate) width: f32,
    /// Lengths of dashes and gaps in pixels; a whole line without any.
    pub(crate) dashes: &'static [f32],
}

impl Pen {
    pub(crate) fn new(colour: Rgb<u8>, width: f32) -> Self {
        Self { colour, width, dashes: &[] }
    }
}

/// Where the given place is in a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn name(self) -> &'static str {
        ["start", "middle", "end"][self as usize]
    }

    /// The share of the label that lies before the place.
    fn share(self) -> f32 {
        f32::from(self as u8) / 2.0
    }
}

#[derive(Debug)]
enum Mark {
    Line(Place, Place, Pen),
    Curve(Vec<Place>, Pen),
    /// A closed line around paper.
    Outline(Vec<Place>, Pen),
    Dot(Place, f32, Rgb<u8>),
    Text(String, Place, Anchor, Style),
    /// A picture in its own size.
    Picture(Place, RgbImage),
}

/// A figure, each mark above those before it. A page may style the classes of marks.
#[derive(Debug, Default)]
pub(crate) struct Drawing {
    marks: Vec<(Mark, String)>,
}

impl Drawing {
    fn push(&mut self, mark: Mark, class: &str) {
        self.marks.push((mark, class.to_owned()));
    }

    pub(crate) fn line(&mut self, from: Place, to: Place, class: &str, pen: Pen) {
        self.push(Mark::Line(from, to, pen), class);
    }

    pub(crate) fn curve(&mut self, points: Vec<Place>, class: &str, pen: Pen) {
        self.push(Mark::Curve(points, pen), class);
    }

    pub(crate) fn outline(&mut self, corners: Vec<Place>, class: &str, pen: Pen) {
        self.push(Mark::Outline(corners, pen), class);
    }

    pub(crate) fn dot(&mut self, centre: Place, radius: f32, class: &str, colour: Rgb<u8>) {
        self.push(Mark::Dot(centre, radius, colour), class);
    }

    /// A text whose baseline is at the place's height.
    pub(crate) fn text(&mut self, text: impl Into<String>, place: Place, anchor: Anchor, style: Style) {
        self.push(Mark::Text(text.into(), place, anchor, style), "");
    }

    /// A picture whose upper left corner is at the place, one pixel to a pixel.
    pub(crate) fn picture(&mut self, picture: RgbImage, place: Place) {
        self.push(Mark::Picture(place, picture), "");
    }

    /// The document with its font on white paper, for those who do not see it with a title and a description.
    pub(crate) fn document(&self, size: (u32, u32), title: &str, description: &str) -> String {
        let font = format!("@font-face{{font-family:Inter;src:url(data:font/otf;base64,{})}}", base64(regular()));
        let head = html! {
            style { (PreEscaped(font)) }
            rect width=(size.0) height=(size.1) fill=(hex(PAPER)) {}
        };
        self.svg(size, None, title, description, &head)
    }

    /// An element of a page, which brings font and background.
    pub(crate) fn inline(&self, size: (u32, u32), class: &str, title: &str, description: &str) -> String {
        self.svg(size, Some(class), title, description, &html! {})
    }

    fn svg(&self, (width, height): (u32, u32), class: Option<&str>, title: &str, text: &str, head: &Markup) -> String {
        let drawn = html! {
            svg class=[class] role="img" xmlns="http://www.w3.org/2000/svg" width=(width) height=(height)
                viewBox={ "0 0 " (width) " " (height) } font-family=(FAMILY) fill=(hex(INK)) {
                title { (printable(title)) }
                desc { (printable(text)) }
                (head)
                @for (mark, class) in &self.marks { (mark.svg(class)) }
            }
        };
        drawn.into_string()
    }

    /// The pixels of the figure on white, `factor` times its size.
    pub(crate) fn pixels(&self, (width, height): (u32, u32), factor: u32) -> RgbImage {
        let mut canvas = RgbImage::from_pixel((width * factor).max(1), (height * factor).max(1), PAPER);
        for (mark, _) in &self.marks {
            mark.paint(&mut canvas, factor as f32);
        }
        canvas
    }
}

impl Mark {
    /// Elements are closed by name: SVG is XML.
    fn svg(&self, class: &str) -> Markup {
        match self {
            Self::Line((x1, y1), (x2, y2), pen) => html! {
                line class=(class) x1=(tenths(*x1)) y1=(tenths(*y1)) x2=(tenths(*x2)) y2=(tenths(*y2)) stroke=(hex(pen.colour))
                    stroke-width=(pen.width) stroke-dasharray=[dashes(pen)] {}
            },
            Self::Curve(points, pen) => html! {
                polyline class=(class) points=(list(points)) fill="none" stroke=(hex(pen.colour)) stroke-width=(pen.width)
                    stroke-dasharray=[dashes(pen)] {}
            },
            Self::Outline(corners, pen) => html! {
                polygon class=(class) points=(list(corners)) fill=(hex(PAPER)) stroke=(hex(pen.colour))
                    stroke-width=(pen.width) {}
            },
            Self::Dot((x, y), radius, colour) => html! {
                circle class=(class) cx=(tenths(*x)) cy=(tenths(*y)) r=(radius) fill=(hex(*colour)) {}
            },
            Self::Text(text, (x, y), anchor, Style { size, is_bold }) => html! {
                text x=(tenths(*x)) y=(tenths(*y)) font-size=(size) font-weight=(if *is_bold { 600 } else { 400 })
                    text-anchor=(anchor.name()) { (printable(text)) }
            },
            Self::Picture((x, y), picture) => html! {
                image x=(tenths(*x)) y=(tenths(*y)) width=(picture.width()) height=(picture.height()) href=(png(picture)) {}
            },
        }
    }

    fn paint(&self, canvas: &mut RgbImage, factor: f32) {
        let mut path = Vec::new();
        match self {
            Self::Line(from, to, pen) => {
                path.move_to(*from).line_to(*to);
                paint(canvas, &path, stroke(pen), pen.colour, factor);
            }
            Self::Curve(points, pen) => {
                polygon(&mut path, points);
                paint(canvas, &path, stroke(pen), pen.colour, factor);
            }
            Self::Outline(corners, pen) => {
                polygon(&mut path, corners);
                path.close();
                paint(canvas, &path, Paint::default(), PAPER, factor);
                paint(canvas, &path, stroke(pen), pen.colour, factor);
            }
            Self::Dot(centre, radius, colour) => {
                path.add_circle(*centre, *radius);
                paint(canvas, &path, Paint::default(), *colour, factor);
            }
            Self::Text(text, (x, y), anchor, style) => {
                let text = printable(text);
                let start = x - anchor.share() * width(&text, *style);
                let glyphs = outline(&text, (start, *y), *style);
                paint(canvas, &glyphs, Paint::default(), INK, factor);
            }
            Self::Picture((x, y), picture) => {
                #[expect(clippy::cast_sign_loss, reason = "a factor is positive")]
                let side = |side: u32| (side as f32 * factor) as u32;
                let picture = scaled(picture, (side(picture.width()), side(picture.height())));
                imageops::replace(canvas, &picture, (x * factor) as i64, (y * factor) as i64);
            }
        }
    }
}

fn polygon(path: &mut Vec<Command>, points: &[Place]) {
    for (index, point) in points.iter().enumerate() {
        if index == 0 {
            path.move_to(*point)
        } else {
            path.line_to(*point)
        };
    }
}

fn stroke(pen: &Pen) -> Paint<'static> {
    let mut stroke = Stroke::new(pen.width);
    stroke.dash(pen.dashes, 0.0);
    stroke.into()
}

/// Lays a colour over the pixels that a path covers.
fn paint(canvas: &mut RgbImage, path: &[Command], style: Paint<'_>, colour: Rgb<u8>, factor: f32) {
    let scale = Transform::scale(factor, factor);
    let (mask, place) = Mask::new(path).style(style).transform(Some(scale)).render();
    for (index, coverage) in (0u32..).zip(mask).filter(|(_, coverage)| *coverage > 0) {
        let at = |offset: i32, along: u32| u32::try_from(i64::from(offset) + i64::from(along)).ok();
        let (column, row) = (at(place.left, index % place.width), at(place.top, index / place.width));
        let Some(pixel) = column.zip(row).and_then(|(x, y)| canvas.get_pixel_mut_checked(x, y)) else { continue };
        for (under, over) in pixel.0.iter_mut().zip(colour.0) {
            let (coverage, sum) = (u16::from(coverage), u16::from(*under) * (255 - u16::from(coverage)));
            *under = ((sum + u16::from(over) * coverage + 127) / 255) as u8;
        }
    }
}

fn dashes(Pen { dashes, .. }: &Pen) -> Option<String> {
    let lengths: Vec<_> = dashes.iter().map(ToString::to_string).collect();
    (!lengths.is_empty()).then(|| lengths.join(" "))
}

fn list(points: &[Place]) -> String {
    points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
}

fn tenths(length: f32) -> String {
    format!("{length:.1}")
}

fn hex(Rgb([red, green, blue]): Rgb<u8>) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// A text in which the replacement character stands for what no XML may contain.
pub(crate) fn printable(text: &str) -> String {
    let is_foreign = |character: char| character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}');
    text.replace(is_foreign, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::font::LABEL;

    fn label(text: &str, factor: u32) -> RgbImage {
        let mut drawing = Drawing::default();
        drawing.text(text, (4.0, 18.0), Anchor::Start, LABEL);
        drawing.pixels((60, 24), factor)
    }

    fn ink(picture: &RgbImage) -> f64 {
        picture.pixels().map(|pixel| f64::from(255 - pixel.0[0]) / 255.0).sum()
    }

    #[test]
    fn text_is_drawn() {
        let picture = label("lion", 2);
        assert_eq!(picture.dimensions(), (120, 48));
        assert!(picture.pixels().any(|pixel| pixel.0[0] < 80), "no ink");
        // Twice the size is four times the ink.
        let (small, large) = (ink(&label("lion", 1)), ink(&picture));
        assert!((large / small - 4.0).abs() < 0.2, "{small} {large}");
    }

    #[test]
    fn any_text_can_be_drawn() {
        for text in ["<b>&\"", "\0\u{8}\n", "🐱 ライオン", "\u{fffe}", ""] {
            label(text, 1);
        }
    }

    #[test]
    fn a_character_that_the_font_lacks_is_a_box() {
        for text in ["🐱", "ラ", "\u{fffd}"] {
            assert!(label(text, 1).pixels().any(|pixel| pixel.0[0] < 120), "{text} is blank");
        }
    }

    #[test]
    fn anchors_place_a_text() {
        let columns = |anchor| {
            let mut drawing = Drawing::default();
            drawing.text("lion", (50.0, 18.0), anchor, LABEL);
            let picture = drawing.pixels((100, 24), 1);
            let inked = picture.enumerate_pixels().filter(|(.., pixel)| pixel.0[0] < 200).map(|(x, ..)| x);
            (inked.clone().min().unwrap(), inked.max().unwrap())
        };
        assert!(columns(Anchor::Start).0 >= 50 && columns(Anchor::End).1 <= 50);
        let (left, right) = columns(Anchor::Middle);
        assert!((left + right).abs_diff(100) <= 2, "{left} {right}");
    }

    #[test]
    fn lines_and_dots_cover_their_area() {
        let drawn = |draw: &dyn Fn(&mut Drawing)| {
            let mut drawing = Drawing::default();
            draw(&mut drawing);
            ink(&drawing.pixels((60, 60), 1))
        };
        let black = Rgb([0; 3]);
        let line = drawn(&|drawing| drawing.line((10.0, 10.0), (50.0, 10.0), "", Pen::new(black, 2.0)));
        let dashed = Pen { dashes: &[6.0, 4.0], ..Pen::new(black, 2.0) };
        let dashes = drawn(&|drawing| drawing.curve(vec![(10.0, 10.0), (50.0, 10.0)], "", dashed));
        let dot = drawn(&|drawing| drawing.dot((30.0, 30.0), 10.0, "", black));
        let square = vec![(20.0, 20.0), (40.0, 20.0), (40.0, 40.0), (20.0, 40.0)];
        let ring = drawn(&|drawing| {
            drawing.dot((30.0, 30.0), 8.0, "", black);
            drawing.outline(square.clone(), "", Pen::new(black, 2.0));
        });
        for (found, expected) in [(line, 80.0), (dashes, 48.0), (dot, 314.2), (ring, 4.0 * 40.0)] {
            assert!((found - expected).abs() < 0.02 * expected, "{found} instead of {expected}");
        }
        // What lies outside is cut off.
        assert!(drawn(&|drawing| drawing.dot((0.0, 70.0), 20.0, "", black)) < 200.0);
    }
}
