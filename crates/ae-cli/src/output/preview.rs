//! Pictures on a terminal.
//!
//! Half blocks in 24-bit colours, which every terminal of today shows. The library for more, viuer, was considered: it brings crossterm,
//! whose features of rustix would build safetensors and burn a second time, asks the terminal for what it can and waits for an answer
//! that some never give, and writes to the standard output alone, where our results go.

use std::fmt::Write as _;

use console::Term;
use image::RgbImage;
use image::imageops::{FilterType, resize};

/// Shows a picture on the terminal that standard error is, as wide as that or 80 columns.
pub(crate) fn show(picture: &RgbImage) {
    /// Wider blocks are no better to look at.
    const WIDEST: u32 = 80;
    let terminal = Term::stderr();
    let (rows, columns) = terminal.size();
    // The line of the path and the next prompt stay in sight.
    let (most_columns, most_rows) = (u32::from(columns).min(WIDEST), u32::from(rows).saturating_sub(3));
    // A terminal that is closed is no reason to stop drawing.
    let _ = terminal.write_str(&blocks(picture, most_columns.max(1), most_rows.max(1)));
}

/// A picture as lines of upper half blocks, whose foreground is the upper pixel and whose background the lower one.
fn blocks(picture: &RgbImage, most_columns: u32, most_rows: u32) -> String {
    let (width, height) = picture.dimensions();
    let most_lines = 2 * most_rows;
    // The side that fills the terminal first; none is enlarged.
    let (part, whole) =
        if most_columns * height <= most_lines * width { (most_columns, width) } else { (most_lines, height) };
    let side = |pixels: u32| (pixels * part.min(whole) / whole).max(1);
    let small = resize(picture, side(width), side(height), FilterType::Triangle);
    let mut text = String::new();
    for row in (0..small.height()).step_by(2) {
        for column in 0..small.width() {
            let [r, g, b] = small.get_pixel(column, row).0;
            let _ = write!(text, "\x1b[38;2;{r};{g};{b}");
            if row + 1 < small.height() {
                let [r, g, b] = small.get_pixel(column, row + 1).0;
                let _ = write!(text, ";48;2;{r};{g};{b}");
            }
            text.push_str("m\u{2580}");
        }
        text.push_str("\x1b[0m\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn two_pixels_are_one_block() {
        let picture = RgbImage::from_fn(1, 2, |_, row| if row == 0 { Rgb([1, 2, 3]) } else { Rgb([4, 5, 6]) });
        assert_eq!(blocks(&picture, 80, 24), "\x1b[38;2;1;2;3;48;2;4;5;6m\u{2580}\x1b[0m\n");
        // The last row may have nothing below it.
        let picture = RgbImage::from_pixel(2, 1, Rgb([9, 9, 9]));
        assert_eq!(blocks(&picture, 80, 24), format!("{0}{0}\x1b[0m\n", "\x1b[38;2;9;9;9m\u{2580}"));
    }

    #[test]
    fn a_picture_fits_into_the_terminal_and_keeps_its_shape() {
        for (width, height, columns, rows, fits) in [
            (512, 512, 80, 100, (80, 40)),
            (512, 512, 200, 20, (40, 20)),
            (64, 32, 80, 24, (64, 16)),
            (1, 4000, 80, 10, (1, 10)),
            (4000, 1, 80, 10, (80, 1)),
            (512, 512, 1, 1, (1, 1)),
        ] {
            let text = blocks(&RgbImage::new(width, height), columns, rows);
            let lines: Vec<_> = text.lines().collect();
            let columns = lines[0].matches('\u{2580}').count();
            assert_eq!((columns, lines.len()), fits, "{width} x {height}");
        }
    }
}
