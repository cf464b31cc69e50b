//! Pictures in lines, with labels and a scale.

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

use crate::colors::heat;
use crate::drawing::{Anchor, Drawing};
use crate::font::{HEADING, LABEL, Style, shortened};

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

    /// The height of a line.
    fn height(&self, line: &Line) -> u32 {
        match line {
            Line::Text(_, _, [height, _]) => *height,
            Line::Labels(_) => LABEL_HEIGHT,
            Line::Pictures(cells) => labels_height(cells) + self.tile.1 + GAP,
        }
    }

    fn columns(&self) -> u32 {
        let columns = self.lines.iter().map(|line| match line {
            Line::Text(..) => 0,
            Line::Labels(labels) => labels.len() as u32,
            Line::Pictures(cells) => cells.len() as u32,
        });
        columns.max().unwrap_or(0)
    }

    pub(crate) fn draw(&self) -> RgbImage {
        let pictures_width = (self.columns() * (self.tile.0 + GAP)).saturating_sub(GAP);
        let bar_width = if self.scale.is_some() { GAP + BAR + BAR_NUMBERS } else { 0 };
        let width = MARGIN + pictures_width + bar_width + MARGIN;
        let height = 2 * MARGIN + self.lines.iter().map(|line| self.height(line)).sum::<u32>().saturating_sub(GAP);
        let mut labels = Drawing::default();
        let mut pasted = Vec::new();
        let mut top = MARGIN;
        let mut first_picture = None;
        for line in &self.lines {
            match line {
                Line::Text(text, style, [_, baseline]) => {
                    let text = shortened(text, *style, pictures_width as f32);
                    labels.text(text, (MARGIN as f32, (top + baseline) as f32), Anchor::Start, *style);
                }
                Line::Labels(columns) => {
                    for (column, label) in columns.iter().enumerate() {
                        let middle = (MARGIN + column as u32 * (self.tile.0 + GAP)) as f32 + self.tile.0 as f32 / 2.0;
                        let label = shortened(label, HEADING, self.tile.0 as f32);
                        labels.text(label, (middle, (top + 15) as f32), Anchor::Middle, HEADING);
                    }
                }
                Line::Pictures(cells) => {
                    let picture_top = top + labels_height(cells);
                    first_picture = first_picture.or(Some(picture_top));
                    for (column, cell) in cells.iter().enumerate() {
                        let left = MARGIN + column as u32 * (self.tile.0 + GAP);
                        let label = shortened(&cell.label, LABEL, self.tile.0 as f32);
                        let middle = left as f32 + self.tile.0 as f32 / 2.0;
                        labels.text(label, (middle, (picture_top - 7) as f32), Anchor::Middle, LABEL);
                        pasted.push((left, picture_top, &cell.picture));
                    }
                }
            }
            top += self.height(line);
        }
        let bar = (MARGIN + pictures_width + GAP, first_picture.unwrap_or(MARGIN), height - MARGIN);
        if let Some(scale) = self.scale {
            bar_numbers(&mut labels, bar, scale);
        }
        let mut sheet = labels.pixels((width, height), 1);
        for (left, top, picture) in pasted {
            imageops::replace(&mut sheet, &scaled(picture, self.tile), i64::from(left), i64::from(top));
        }
        if self.scale.is_some() {
            draw_bar(&mut sheet, bar);
        }
        sheet
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

fn labels_height(cells: &[Cell]) -> u32 {
    if cells.iter().any(|cell| !cell.label.is_empty()) { LABEL_HEIGHT } else { 0 }
}

/// The scale from bottom to top.
fn draw_bar(sheet: &mut RgbImage, (left, top, bottom): (u32, u32, u32)) {
    let last = bottom.saturating_sub(top + 1).max(1) as f32;
    let height = bottom.saturating_sub(top);
    let bar = RgbImage::from_fn(BAR, height, |_, y| heat((height - 1 - y) as f32 / last));
    imageops::replace(sheet, &bar, i64::from(left), i64::from(top));
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
        sheet.heading("Stable Diffusion");
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
