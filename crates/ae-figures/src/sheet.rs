//! Pictures in lines, with labels and a scale.

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

use crate::colors::heat;
use crate::drawing::{Anchor, Drawing};
use crate::font::{HEADING, LABEL, Style, shortened, width, wrapped};

/// Pictures in a line.
const MOST_IN_LINE: usize = 6;
/// Between pictures, in pixels.
const GAP: u32 = 10;
/// Around everything.
const MARGIN: u32 = 14;
/// Height of a line of labels.
const LABEL_HEIGHT: u32 = 24;
/// Height of a heading with the space above it.
const HEADING_HEIGHT: u32 = 32;
/// The most that the label of a picture may be wider than the picture, and the most rows that a text may take.
const MOST_LABEL: f32 = 1.5;
const MOST_ROWS: usize = 4;
/// Width of the colour bar with its numbers.
const BAR: u32 = 14;
const BAR_NUMBERS: u32 = 46;

/// Lines of pictures of one size.
#[derive(Debug)]
pub(crate) struct Sheet {
    /// Width and height of every picture.
    tile: (u32, u32),
    lines: Vec<Line>,
    /// What the last colour of the heat maps stands for, if there are any.
    scale: Option<f32>,
}

#[derive(Debug)]
enum Line {
    /// With its style, its height and its baseline.
    Text(String, Style, [u32; 2]),
    /// What the columns below show.
    Labels(Vec<String>),
    Pictures(Vec<Cell>),
}

/// A picture with what stands above it.
#[derive(Debug)]
pub(crate) struct Cell {
    label: String,
    picture: RgbImage,
}

impl Cell {
    pub(crate) fn new(label: impl Into<String>, picture: RgbImage) -> Self {
        Self { label: label.into(), picture }
    }
}

impl Sheet {
    pub(crate) fn new(tile: (u32, u32), scale: f32) -> Self {
        Self { tile, lines: Vec::new(), scale: Some(scale) }
    }

    /// One of plain pictures, which has no colour bar.
    pub(crate) fn without_scale(tile: (u32, u32)) -> Self {
        Self { tile, lines: Vec::new(), scale: None }
    }

    pub(crate) fn heading(&mut self, heading: impl Into<String>) {
        self.lines.push(Line::Text(heading.into(), HEADING, [HEADING_HEIGHT, 21]));
    }

    /// What the next line of pictures shows.
    pub(crate) fn caption(&mut self, caption: impl Into<String>) {
        self.lines.push(Line::Text(caption.into(), LABEL, [LABEL_HEIGHT, 16]));
    }

    /// What the whole sheet shows, below its pictures.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.caption(note);
    }

    /// What the columns of the next lines show.
    pub(crate) fn labels(&mut self, labels: impl IntoIterator<Item = String>) {
        self.lines.push(Line::Labels(labels.into_iter().collect()));
    }

    pub(crate) fn pictures(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.lines.push(Line::Pictures(cells.into_iter().collect()));
    }

    /// As many lines as it takes.
    pub(crate) fn wrapped(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let mut cells = cells.into_iter().peekable();
        while cells.peek().is_some() {
            self.pictures(cells.by_ref().take(MOST_IN_LINE));
        }
    }

    /// How wide every column is: as its pictures, or as what stands above them needs.
    fn column_width(&self) -> u32 {
        let widest = |labels: &mut dyn Iterator<Item = &str>, style: Style| {
            labels.map(|label| width(label, style)).fold(0.0, f32::max)
        };
        let wide = self.lines.iter().map(|line| match line {
            Line::Text(..) => 0.0,
            Line::Labels(labels) => widest(&mut labels.iter().map(String::as_str), HEADING),
            Line::Pictures(cells) => {
                let widest = widest(&mut cells.iter().map(|cell| cell.label.as_str()), LABEL);
                widest.min(MOST_LABEL * self.tile.0 as f32)
            }
        });
        #[expect(clippy::cast_sign_loss, reason = "widths are positive")]
        let wide = wide.fold(0.0, f32::max).ceil() as u32;
        self.tile.0.max(wide)
    }

    fn columns(&self) -> u32 {
        let columns = self.lines.iter().map(|line| match line {
            Line::Text(..) => 0,
            Line::Labels(labels) => labels.len() as u32,
            Line::Pictures(cells) => cells.len() as u32,
        });
        columns.max().unwrap_or(0)
    }

    /// The sheet in pixels.
    pub(crate) fn draw(&self) -> RgbImage {
        let (size, drawing) = self.drawing();
        drawing.pixels(size, 1)
    }

    /// The sheet as an SVG document, with pictures inside and real text.
    pub(crate) fn svg(&self, title: &str, description: &str) -> String {
        let (size, drawing) = self.drawing();
        drawing.document(size, title, description)
    }

    /// Width and height, and what is in it.
    fn drawing(&self) -> ((u32, u32), Drawing) {
        let column_width = self.column_width();
        let pictures_width = (self.columns() * (column_width + GAP)).saturating_sub(GAP);
        let bar_width = if self.scale.is_some() { GAP + BAR + BAR_NUMBERS } else { 0 };
        let left_of = |column: usize| MARGIN + column as u32 * (column_width + GAP);
        let middle_of = |column: usize| left_of(column) as f32 + column_width as f32 / 2.0;
        let mut drawing = Drawing::default();
        let mut top = MARGIN;
        // From the top of the first picture to the bottom of the last.
        let mut pictures: Option<(u32, u32)> = None;
        for line in &self.lines {
            match line {
                Line::Text(text, style, [height, baseline]) => {
                    for (row, text) in wrapped(text, *style, pictures_width as f32, MOST_ROWS).into_iter().enumerate() {
                        top += if row == 0 { 0 } else { next_row(*style) };
                        drawing.text(text, (MARGIN as f32, (top + baseline) as f32), Anchor::Start, *style);
                    }
                    top += height;
                }
                Line::Labels(columns) => {
                    for (column, label) in columns.iter().enumerate() {
                        drawing.text(label, (middle_of(column), (top + 15) as f32), Anchor::Middle, HEADING);
                    }
                    top += LABEL_HEIGHT;
                }
                Line::Pictures(cells) => {
                    top += labels_height(cells);
                    let first = pictures.map_or(top, |(first, _)| first);
                    pictures = Some((first, top + self.tile.1));
                    for (column, cell) in cells.iter().enumerate() {
                        let label = shortened(&cell.label, LABEL, column_width as f32);
                        drawing.text(label, (middle_of(column), (top - 7) as f32), Anchor::Middle, LABEL);
                        let left = left_of(column) + (column_width - self.tile.0) / 2;
                        drawing.picture(scaled(&cell.picture, self.tile), (left as f32, top as f32));
                    }
                    top += self.tile.1 + GAP;
                }
            }
        }
        if let (Some(scale), Some((first, last))) = (self.scale, pictures) {
            let bar = (MARGIN + pictures_width + GAP, first, last);
            bar_numbers(&mut drawing, bar, scale);
            drawing.picture(colour_bar(last - first), (bar.0 as f32, bar.1 as f32));
        }
        // A gap follows pictures, and none text.
        let ends_with_pictures = matches!(self.lines.last(), Some(Line::Pictures(_)));
        let height = top - if ends_with_pictures { GAP } else { 0 } + MARGIN;
        ((MARGIN + pictures_width + bar_width + MARGIN, height), drawing)
    }
}

/// Draws numbers at the ends and in the middle of the colour bar.
fn bar_numbers(labels: &mut Drawing, (left, top, bottom): (u32, u32, u32), scale: f32) {
    let left = (left + BAR + 6) as f32;
    // The middle of a number stands at its value, but for the outer ones, which stay beside the bar.
    for (share, down) in [(0.0f32, 0.0), (0.5, 5.0), (1.0, 11.0)] {
        let y = bottom as f32 - share * (bottom - top) as f32 + down;
        // Two digits of the middle one at least.
        let decimals = if scale >= 0.2 { 2 } else { 3 };
        let number = format!("{:.decimals$}", share * scale);
        labels.text(number, (left, y), Anchor::Start, LABEL);
    }
}

/// From a row of a text to the next.
#[expect(clippy::cast_sign_loss, reason = "a size is positive")]
fn next_row(style: Style) -> u32 {
    (style.size * 1.3).ceil() as u32
}

fn labels_height(cells: &[Cell]) -> u32 {
    if cells.iter().any(|cell| !cell.label.is_empty()) { LABEL_HEIGHT } else { 0 }
}

/// The scale from bottom to top.
fn colour_bar(height: u32) -> RgbImage {
    let last = height.saturating_sub(1).max(1) as f32;
    RgbImage::from_fn(BAR, height, |_, y| heat((height - 1 - y) as f32 / last))
}

/// A picture in the size of a tile: enlarged in whole steps it stays as sharp as it is.
pub(crate) fn scaled(picture: &RgbImage, (width, height): (u32, u32)) -> RgbImage {
    if picture.dimensions() == (width, height) {
        return picture.clone();
    }
    imageops::resize(picture, width, height, FilterType::CatmullRom)
}

/// The size of tiles for pictures of a size, with a longest side in pixels.
pub(crate) fn tile_size((width, height): (u32, u32), longest: u32) -> (u32, u32) {
    let side = |side: u32| (side * longest / width.max(height)).max(1);
    (side(width), side(height))
}

/// What is shown where there is nothing to show.
pub(crate) fn blank((width, height): (u32, u32)) -> RgbImage {
    RgbImage::from_pixel(width, height, Rgb([235; 3]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_in_lines_under_their_labels() {
        let red = RgbImage::from_pixel(2, 1, Rgb([255, 0, 0]));
        let mut sheet = Sheet::new((40, 20), 0.5);
        sheet.heading("Plain");
        sheet.pictures([Cell::new("lion", red.clone()), Cell::new("car", red.clone())]);
        sheet.pictures([Cell::new("", red)]);
        let drawn = sheet.draw();
        let width = MARGIN + 40 + GAP + 40 + GAP + BAR + BAR_NUMBERS + MARGIN;
        let height = MARGIN + HEADING_HEIGHT + LABEL_HEIGHT + 20 + GAP + 20 + MARGIN;
        assert_eq!(drawn.dimensions(), (width, height));
        let second = (MARGIN + 40 + GAP + 5, MARGIN + HEADING_HEIGHT + LABEL_HEIGHT + 5);
        assert_eq!(drawn.get_pixel(second.0, second.1), &Rgb([255, 0, 0]));
        assert_eq!(drawn.get_pixel(second.0, height - MARGIN - 5), &Rgb([255; 3]));
        // The bar runs from the first picture to the last.
        let bar = MARGIN + 40 + GAP + 40 + GAP + 2;
        assert_eq!(drawn.get_pixel(bar, height - MARGIN - 1), &heat(0.0));
        assert_eq!(drawn.get_pixel(bar, MARGIN + HEADING_HEIGHT + LABEL_HEIGHT), &heat(1.0));
    }

    #[test]
    fn no_label_is_cut_and_long_texts_take_several_rows() {
        let cell = || Cell::new("", blank((1, 1)));
        let mut sheet = Sheet::without_scale((40, 20));
        sheet.labels(["Composable Diffusion".to_owned(), "Attend-and-Excite".to_owned()]);
        sheet.pictures([cell(), cell()]);
        #[expect(clippy::cast_sign_loss, reason = "a width")]
        let column = width("Composable Diffusion", HEADING).ceil() as u32;
        let (size, _) = sheet.drawing();
        assert_eq!(size.0, MARGIN + column + GAP + column + MARGIN);
        sheet.note("all that must be said of these two pictures, which does not fit below them in one row");
        assert!(sheet.draw().height() > size.1 + 2 * LABEL_HEIGHT);
        let svg = sheet.svg("Two", "Two pictures.");
        assert!(svg.matches("<image ").count() == 2 && svg.contains(">Composable Diffusion</text>"), "{svg}");
        assert!(!svg.contains('…'));
    }

    #[test]
    fn long_lines_are_wrapped() {
        let cells = |count| (0..count).map(|_| Cell::new("", blank((1, 1))));
        let drawn = |count| {
            let mut sheet = Sheet::new((20, 20), 1.0);
            sheet.wrapped(cells(count));
            sheet.draw().dimensions()
        };
        let (width, height) = drawn(MOST_IN_LINE);
        assert_eq!(drawn(MOST_IN_LINE + 1), (width, height + 20 + GAP));
        assert_eq!(drawn(2 * MOST_IN_LINE), (width, height + 20 + GAP));
    }

    #[test]
    fn tiles_keep_the_shape_of_the_pictures() {
        assert_eq!(tile_size((128, 128), 256), (256, 256));
        assert_eq!(tile_size((768, 512), 256), (256, 170));
        assert_eq!(tile_size((8192, 1), 100), (100, 1));
    }
}
