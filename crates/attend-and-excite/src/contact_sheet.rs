//! Several pictures on one sheet, with labels or bare.

use ae_figures::picture_sheet;
use ae_settings::Method;
use image::RgbImage;

use crate::compose::{about_square, compose};

/// The pictures of one prompt: of every seed one by each method.
#[derive(Clone, Debug)]
pub struct ContactSheet<'a> {
    /// The prompt, which stands above all.
    pub prompt: &'a str,
    /// The methods from left to right.
    pub methods: &'a [Method],
    /// A seed, and its pictures by the methods in their order, all of one size.
    pub seeds: Vec<(u64, Vec<&'a RgbImage>)>,
    /// Whether prompt, methods and seeds are written beside the pictures.
    pub labels: bool,
}

/// Rows of seeds before they are put beside each other.
const ROWS: usize = 8;

impl ContactSheet<'_> {
    /// The sheet: by one method a grid that is about square, by several a column for each and a row for every seed. Many seeds stand in
    /// blocks beside each other, so that the sheet is not much taller than wide.
    ///
    /// # Panics
    ///
    /// When there is no picture.
    pub fn draw(&self) -> RgbImage {
        let (methods, count) = (self.methods.len().max(1), self.seeds.len());
        let blocks = match methods {
            1 => about_square(count),
            methods => (1..=count).find(|blocks| count.div_ceil(*blocks) <= ROWS.max(blocks * methods)).unwrap_or(1),
        };
        let cells =
            self.seeds.iter().flat_map(|(seed, pictures)| pictures.iter().map(move |picture| (*seed, *picture)));
        let cells: Vec<_> = cells.collect();
        let columns = blocks * methods;
        if !self.labels {
            let pictures: Vec<_> = cells.into_iter().map(|(_, picture)| picture).collect();
            return compose(&pictures, columns);
        }
        let titles: Vec<_> = self.methods.iter().map(|method| method.title().to_owned()).collect();
        // One method needs no column of its own: it stands in the heading.
        let (heading, columns_titles) = match &titles[..] {
            [title] => (format!("{title}: “{}”", self.prompt), Vec::new()),
            titles => {
                (format!("“{}”", self.prompt), titles.iter().cycle().take(columns.min(cells.len())).cloned().collect())
            }
        };
        let lines = cells
            .chunks(columns.max(1))
            .map(|line| line.iter().map(|(seed, picture)| (format!("seed {seed}"), (*picture).clone())).collect());
        picture_sheet(&heading, &columns_titles, lines.collect())
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    const BOTH: [Method; 2] = [Method::StableDiffusion, Method::AttendAndExcite];

    fn sheet(methods: &[Method], seeds: u8, labels: bool) -> RgbImage {
        let pictures: Vec<_> = (0..2 * seeds).map(|index| RgbImage::from_pixel(200, 100, Rgb([index; 3]))).collect();
        let seeds = pictures.chunks(methods.len()).take(seeds.into()).zip(0..);
        let seeds = seeds.map(|(pictures, seed)| (seed, pictures.iter().collect())).collect();
        ContactSheet { prompt: "a cat", methods, seeds, labels }.draw()
    }

    #[test]
    fn methods_are_columns_and_seeds_rows() {
        let bare = sheet(&BOTH, 3, false);
        assert_eq!(bare.dimensions(), (2 * 200 + 8, 3 * 100 + 2 * 8));
        assert_eq!((bare.get_pixel(0, 0), bare.get_pixel(208, 0)), (&Rgb([0; 3]), &Rgb([1; 3])));
        assert_eq!(bare.get_pixel(208, 216), &Rgb([5; 3]));
        // As high as wide at most, about: 20 seeds in three blocks.
        let many = sheet(&BOTH, 20, false);
        assert_eq!(many.dimensions(), (6 * 208 - 8, 7 * 108 - 8));
        assert_eq!(sheet(&BOTH[..1], 5, false).dimensions(), (3 * 208 - 8, 2 * 108 - 8));
    }

    #[test]
    fn labels_take_no_pixel_from_a_picture() {
        for (methods, seeds) in [(&BOTH[..], 1), (&BOTH[..], 20), (&BOTH[1..], 5)] {
            let (bare, labelled) = (sheet(methods, seeds, false), sheet(methods, seeds, true));
            assert!(labelled.height() > bare.height() + 40, "{:?}", labelled.dimensions());
            for index in 0..u8::try_from(methods.len()).unwrap() * seeds {
                let count = labelled.pixels().filter(|pixel| **pixel == Rgb([index; 3])).count();
                assert!(count >= 200 * 100, "picture {index}: {count}");
            }
        }
    }
}
