use image::{Luma, Rgb};

use super::*;

/// A picture whose pixels all differ.
fn picture(width: u32, height: u32) -> RgbImage {
    let byte = |value: u32| u8::try_from(value % 256).unwrap();
    RgbImage::from_fn(width, height, |x, y| Rgb([byte(3 * x), byte(5 * y + x), byte(x * y)]))
}

/// A mask that is white from `from` to `to`, both (x, y).
fn mask(size: [u32; 2], from: [u32; 2], to: [u32; 2]) -> GrayImage {
    GrayImage::from_fn(size[0], size[1], |x, y| {
        let inside = (from[0]..to[0]).contains(&x) && (from[1]..to[1]).contains(&y);
        Luma([if inside { 255 } else { 0 }])
    })
}

fn prepared(image: &RgbImage, mask: &GrayImage, change: fn(&mut Settings)) -> Result<Inpainting, String> {
    let mut settings = Settings::default();
    change(&mut settings);
    Inpainting::new(image, mask, &settings, [64, 64], 8)
        .map(|(prepared, _)| prepared)
        .map_err(|error| error.to_string())
}

/// Black, so that no pixel of it is the picture's by chance where that is not black.
fn drawn() -> RgbImage {
    RgbImage::new(64, 64)
}

#[test]
fn the_mask_of_latents_is_the_pixel_where_each_begins() {
    let prepared = prepared(&picture(64, 64), &mask([64, 64], [7, 8], [17, 25]), |_| ()).unwrap();
    let white: Vec<usize> = (0..64).filter(|&index| prepared.latent_mask(8)[index] > 0.0).collect();
    // Columns 1 and 2, rows 1 to 3.
    assert_eq!(white, [9, 10, 17, 18, 25, 26]);
}

#[test]
fn white_begins_in_the_middle() {
    let grey = |byte| GrayImage::from_pixel(64, 64, Luma([byte]));
    let latents = |byte| prepared(&picture(64, 64), &grey(byte), |_| ()).map(|prepared| prepared.latent_mask(8));
    assert_eq!(latents(128).unwrap(), [1.0; 64]);
    assert!(latents(127).is_err());
    let inverted = prepared(&picture(64, 64), &grey(127), |settings| settings.mask_invert = true).unwrap();
    assert_eq!(inverted.latent_mask(8), [1.0; 64]);
}

#[test]
fn a_mask_of_which_nothing_would_be_drawn_is_refused() {
    let refused = |mask: &GrayImage, change| prepared(&picture(64, 64), mask, change).unwrap_err();
    let black = GrayImage::new(64, 64);
    let expected = "mask is black everywhere: expected white where the picture is drawn anew";
    assert_eq!(refused(&black, |_| ()), expected);
    assert_eq!(refused(&black, |settings| settings.mask_padding = Some(8)), expected);
    let white = GrayImage::from_pixel(64, 64, Luma([255]));
    assert_eq!(refused(&white, |settings| settings.mask_invert = true), expected);
    // Seven pixels between the corners of two latents.
    let small = mask([64, 64], [9, 9], [16, 16]);
    assert!(refused(&small, |_| ()).starts_with("mask is white in fewer than 8 x 8 pixels of the picture"));
    // Drawn as large as the picture, they are enough.
    assert!(prepared(&picture(64, 64), &small, |settings| settings.mask_padding = Some(0)).is_ok());
    let error = refused(&white, |settings| (settings.mask_padding, settings.mask_overlay) = (Some(0), false));
    assert!(error.starts_with("mask_overlay is off with a padding"), "{error}");
}

#[test]
fn pixels_outside_the_mask_are_the_pictures_own_bit_by_bit() {
    let hole = mask([64, 64], [16, 8], [48, 40]);
    for (size, blur, padding) in
        [([64, 64], 0.0, None), ([64, 64], 2.0, None), ([96, 80], 0.0, Some(3)), ([96, 80], 1.5, Some(12))]
    {
        let image = picture(size[0], size[1]);
        let mask = if padding.is_some() { mask(size, [16, 8], [48, 40]) } else { hole.clone() };
        let mut settings = Settings::default();
        (settings.mask_blur, settings.mask_padding) = (blur, padding);
        let (prepared, note) = Inpainting::new(&image, &mask, &settings, [64, 64], 8).unwrap();
        assert_eq!(note, None);
        let finished = prepared.finished(&drawn()).unwrap();
        assert_eq!(finished.dimensions(), image.dimensions());
        let blurred = if blur > 0.0 { imageops::blur(&mask, blur as f32) } else { mask };
        let (mut kept, mut anew, mut mixed) = (0, 0, 0);
        for (x, y, pixel) in finished.enumerate_pixels() {
            match blurred.get_pixel(x, y).0[0] {
                0 => {
                    assert_eq!(pixel, image.get_pixel(x, y), "{x} {y}");
                    kept += 1;
                }
                255 => {
                    assert_eq!(pixel.0, [0; 3], "{x} {y}");
                    anew += 1;
                }
                _ => mixed += 1,
            }
        }
        assert!(kept > 1000 && anew > 400 && (mixed > 100) == (blur > 0.0), "{kept} {anew} {mixed}");
    }
}

#[test]
fn without_the_overlay_the_picture_is_what_was_drawn() {
    let prepared =
        prepared(&picture(64, 64), &mask([64, 64], [0, 0], [32, 32]), |settings| settings.mask_overlay = false)
            .unwrap();
    assert_eq!(prepared.finished(&drawn()), None);
    assert!(!prepared.is_part());
}

#[test]
fn a_blur_is_the_integral_of_a_bell() {
    // scipy.stats.norm.cdf((numpy.arange(-2, 3) + 0.5) / 2) * 255
    let expected = [57.8, 102.3, 152.7, 197.2, 228.1];
    let edge = mask([64, 64], [32, 0], [64, 64]);
    let blurred = imageops::blur(&edge, 2.0);
    for (x, expected) in (30..35).zip(expected) {
        let value = f64::from(blurred.get_pixel(x, 32).0[0]);
        assert!((value - expected).abs() < 2.0, "{x}: {value} {expected}");
    }
}

#[test]
fn a_mask_of_another_size_is_stretched_with_a_note() {
    let image = picture(64, 64);
    let (prepared, note) =
        Inpainting::new(&image, &mask([32, 16], [0, 0], [16, 16]), &Settings::default(), [64, 64], 8).unwrap();
    let note = note.unwrap();
    assert_eq!(note, "the mask has 32 x 16 pixels and is stretched to the initial image's 64 x 64");
    assert_eq!(prepared.latent_mask(8).iter().filter(|value| **value > 0.0).count(), 32);
}

#[test]
fn the_masked_image_is_grey_where_it_is_drawn_anew() {
    let image = RgbImage::from_pixel(64, 64, Rgb([255, 0, 51]));
    let prepared = prepared(&image, &mask([64, 64], [0, 0], [32, 64]), |_| ()).unwrap();
    let values: Vec<f32> = prepared.masked_image(&Device::flex()).into_data().try_into_vec_as().unwrap();
    let pixel = |channel: usize, column: usize| values[channel * 64 * 64 + column];
    for (channel, own) in [1.0, -1.0, -0.6].into_iter().enumerate() {
        assert!(pixel(channel, 31).abs() < 1e-6 && (pixel(channel, 32) - own).abs() < 1e-6);
    }
}
