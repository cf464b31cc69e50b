use image::{Rgb, RgbImage, imageops};

/// Pixels between two pictures.
const GAP: u32 = 8;
const WHITE: Rgb<u8> = Rgb([255; 3]);

/// The number of columns that makes a grid of so many pictures about square.
pub(crate) fn about_square(count: usize) -> usize {
    (1..=count).find(|columns| columns * columns >= count).unwrap_or(1)
}

/// Puts pictures of one size beside each other, in so many columns.
///
/// # Panics
///
/// When there is none.
pub(crate) fn compose(pictures: &[&RgbImage], columns: usize) -> RgbImage {
    let (width, height) = pictures[0].dimensions();
    let columns = columns.clamp(1, pictures.len());
    let side = |count: usize, length: u32| count as u32 * (length + GAP) - GAP;
    let rows = pictures.len().div_ceil(columns);
    let mut sheet = RgbImage::from_pixel(side(columns, width), side(rows, height), WHITE);
    for (index, picture) in pictures.iter().enumerate() {
        let at = |place: usize, length: u32| i64::from(place as u32 * (length + GAP));
        imageops::replace(&mut sheet, *picture, at(index % columns, width), at(index / columns, height));
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_has_its_place() {
        let pictures: Vec<_> = (0..5).map(|i| RgbImage::from_pixel(4, 3, Rgb([i; 3]))).collect();
        let sheet = compose(&pictures.iter().collect::<Vec<_>>(), about_square(5));
        assert_eq!(sheet.dimensions(), (4 * 3 + 2 * GAP, 3 * 2 + GAP));
        assert_eq!(sheet.get_pixel(0, 3 + GAP), &Rgb([3; 3]));
        assert_eq!(sheet.get_pixel(4 + GAP, 3 + GAP), &Rgb([4; 3]));
        assert_eq!(sheet.get_pixel(4, 0), &WHITE);
        assert_eq!(compose(&[&pictures[0], &pictures[1]], 9).dimensions(), (8 + GAP, 3));
    }
}
