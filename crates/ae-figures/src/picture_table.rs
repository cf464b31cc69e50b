use image::{RgbImage, imageops};

use crate::sheet::{Cell, Sheet, blank, scaled, tile_size};

/// A row of a [`picture_table`].
#[derive(Clone, Debug, PartialEq)]
pub struct PictureRow {
    /// What stands above it, such as the prompt and the seed.
    pub label: String,
    /// From left to right; one that is missing is grey.
    pub pictures: Vec<Option<RgbImage>>,
}

/// Pictures in rows and columns, as in the paper's figures of methods side by side: the labels of the columns at the top, that of
/// a row above it.
///
/// `longest` is the longer side of a picture, in pixels. All have the shape of the first; one of another shape is fitted in.
pub fn picture_table(columns: &[String], rows: &[PictureRow], longest: u32) -> RgbImage {
    let mut pictures = rows.iter().flat_map(|row| &row.pictures).flatten();
    let tile = tile_size(pictures.next().map_or((1, 1), RgbImage::dimensions), longest.max(1));
    let mut sheet = Sheet::without_scale(tile);
    sheet.labels(columns.iter().cloned());
    for row in rows {
        sheet.caption(&row.label);
        let picture =
            |picture: &Option<RgbImage>| picture.as_ref().map_or_else(|| blank(tile), |one| fitted(one, tile));
        sheet.pictures(row.pictures.iter().map(|one| Cell::new("", picture(one))).collect::<Vec<_>>());
    }
    sheet.draw()
}

/// Pictures of one size in lines, each with what stands above it, under a heading and the labels of the columns.
pub fn picture_sheet(heading: &str, columns: &[String], lines: Vec<Vec<(String, RgbImage)>>) -> RgbImage {
    let first = lines.iter().flatten().next();
    let mut sheet = Sheet::without_scale(first.map_or((1, 1), |(_, picture)| picture.dimensions()));
    sheet.heading(heading);
    if !columns.is_empty() {
        sheet.labels(columns.iter().cloned());
    }
    for line in lines {
        sheet.pictures(line.into_iter().map(|(label, picture)| Cell::new(label, picture)).collect::<Vec<_>>());
    }
    sheet.draw()
}

/// A picture in its own shape within a tile.
fn fitted(picture: &RgbImage, tile: (u32, u32)) -> RgbImage {
    let (width, height) = (u64::from(picture.width().max(1)), u64::from(picture.height().max(1)));
    let (most_wide, most_high) = (u64::from(tile.0), u64::from(tile.1));
    let size = if width * most_high > height * most_wide {
        (tile.0, (height * most_wide / width).max(1) as u32)
    } else {
        ((width * most_high / height).max(1) as u32, tile.1)
    };
    if size == tile {
        return scaled(picture, tile);
    }
    let mut fitted = blank(tile);
    let (left, top) = ((tile.0 - size.0) / 2, (tile.1 - size.1) / 2);
    imageops::replace(&mut fitted, &scaled(picture, size), i64::from(left), i64::from(top));
    fitted
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    const RED: Rgb<u8> = Rgb([255, 0, 0]);

    fn row(pictures: Vec<Option<RgbImage>>) -> PictureRow {
        PictureRow { label: "“a cat and a dog”, seed 3".to_owned(), pictures }
    }

    fn red(width: u32, height: u32) -> RgbImage {
        RgbImage::from_pixel(width, height, RED)
    }

    fn count(table: &RgbImage, colour: Rgb<u8>) -> usize {
        table.pixels().filter(|pixel| **pixel == colour).count()
    }

    #[test]
    fn pictures_stand_in_rows_and_columns() {
        let columns = ["stable-diffusion", "attend-and-excite"].map(str::to_owned);
        let table = picture_table(
            &columns,
            &[row(vec![Some(red(8, 4)), Some(red(8, 4))]), row(vec![None, Some(red(8, 4))])],
            80,
        );
        assert_eq!(count(&table, RED), 3 * 80 * 40);
        // Labels have pixels of that grey, too.
        let whole = picture_table(&columns, &vec![row(vec![Some(red(8, 4)), Some(red(8, 4))]); 2], 80);
        assert_eq!(count(&table, Rgb([235; 3])) - count(&whole, Rgb([235; 3])), 80 * 40);
        // No scale: as wide as two labels, which are wider than the pictures, with what is between and around them.
        assert!(table.width() > 14 + 80 + 10 + 80 + 14, "{}", table.width());
        let narrow = picture_table(&["a".to_owned()], &[row(vec![Some(red(8, 4)); 2])], 80);
        assert_eq!(narrow.width(), 14 + 80 + 10 + 80 + 14);
        let taller =
            picture_table(&columns, &[row(vec![Some(red(8, 4))]), row(vec![]), row(vec![Some(red(8, 4))])], 80);
        assert!(taller.height() > table.height());
    }

    #[test]
    fn a_picture_of_another_shape_keeps_it() {
        let table = picture_table(&[], &[row(vec![Some(red(4, 4)), Some(red(8, 4)), Some(red(4, 8))])], 40);
        assert_eq!(count(&table, RED), 40 * 40 + 40 * 20 + 20 * 40);
    }

    #[test]
    fn a_sheet_names_every_picture() {
        let cell = |label: &str| (label.to_owned(), red(90, 60));
        let columns = ["Stable Diffusion", "Attend-and-Excite"].map(str::to_owned);
        let sheet = picture_sheet("a cat", &columns, vec![vec![cell("seed 1"), cell("seed 1")], vec![cell("seed 2")]]);
        assert_eq!(count(&sheet, RED), 3 * 90 * 60);
        // A heading, the labels of the columns, and a line above either line of pictures.
        assert_eq!(sheet.height(), 14 + 32 + 24 + 2 * (24 + 60) + 10 + 14);
        picture_sheet("", &[], vec![]);
    }

    #[test]
    fn a_table_of_nothing_can_be_drawn() {
        picture_table(&[], &[], 0);
        picture_table(&["plain".to_owned()], &[row(vec![])], 64);
    }
}
