use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Luma, RgbImage};

use crate::colors::heat;

/// How much of the picture a heat map covers.
const OPACITY: f32 = 0.65;

/// A map over a picture, smoothly enlarged to its size; `scale` has the last colour.
///
/// # Shapes
/// - map: `[rows, cols]`
pub(crate) fn over(picture: &RgbImage, map: &[f32], [rows, cols]: [usize; 2], scale: f32) -> RgbImage {
    let shares = enlarged(map, [rows, cols], picture.dimensions(), scale);
    let mut blended = picture.clone();
    for (pixel, Luma([share])) in blended.pixels_mut().zip(shares.pixels()) {
        for (channel, colour) in pixel.0.iter_mut().zip(heat(*share).0) {
            #[expect(clippy::cast_sign_loss, reason = "a mean of bytes")]
            let mean = (f32::from(*channel) * (1.0 - OPACITY) + f32::from(colour) * OPACITY).round() as u8;
            *channel = mean;
        }
    }
    blended
}

/// A map alone, smoothly enlarged to a size; `scale` has the last colour.
pub(crate) fn alone(map: &[f32], resolution: [usize; 2], size: (u32, u32), scale: f32) -> RgbImage {
    let shares = enlarged(map, resolution, size, scale);
    let colours = shares.pixels().flat_map(|Luma([share])| heat(*share).0).collect();
    RgbImage::from_raw(size.0, size.1, colours).expect("three bytes per pixel")
}

/// A map as shares of the scale, between 0 and 1.
fn enlarged(
    map: &[f32],
    [rows, cols]: [usize; 2],
    (width, height): (u32, u32),
    scale: f32,
) -> ImageBuffer<Luma<f32>, Vec<f32>> {
    let scale = scale.max(f32::MIN_POSITIVE);
    let shares: Vec<_> = map.iter().map(|value| (value / scale).clamp(0.0, 1.0)).collect();
    let side = |length: usize| u32::try_from(length).expect("a map is small");
    let map: ImageBuffer<Luma<f32>, _> =
        ImageBuffer::from_raw(side(cols), side(rows), shares).expect("one value per patch");
    resize(&map, width, height, FilterType::CatmullRom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_stays_and_a_peak_keeps_its_place() {
        let flat = enlarged(&[0.2; 6], [2, 3], (30, 20), 0.4);
        assert!(flat.pixels().all(|Luma([share])| (share - 0.5).abs() < 1e-3));
        let mut map = [0.0; 16];
        map[6] = 1.0; // row 1, column 2 of 4
        let large = enlarged(&map, [4, 4], (64, 64), 1.0);
        let (x, y, _) = large.enumerate_pixels().max_by(|one, other| one.2.0[0].total_cmp(&other.2.0[0])).unwrap();
        assert!((32..48).contains(&x) && (16..32).contains(&y), "{x} {y}");
        assert!(large.pixels().all(|Luma([share])| (0.0..=1.0).contains(share)));
    }

    #[test]
    fn one_scale_holds_for_all() {
        let colour = |value, scale| *alone(&[value], [1, 1], (1, 1), scale).get_pixel(0, 0);
        assert_eq!(colour(0.2, 0.4), heat(0.5));
        assert_eq!(colour(0.8, 0.4), heat(1.0));
        assert_eq!(colour(0.0, 0.0), heat(0.0));
        let white = RgbImage::from_pixel(1, 1, image::Rgb([255; 3]));
        let [red, ..] = over(&white, &[0.0], [1, 1], 1.0).get_pixel(0, 0).0;
        assert_eq!(red, 89); // 0.35 of the picture
    }
}
