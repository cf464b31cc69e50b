//! Pillow's resampling of 8-bit pictures, bit by bit.
//!
//! The models were trained on, and the paper's scores computed from, pictures resized by Pillow. Crates come close
//! but not to it: in pictures of this repository `fast_image_resize` 6.1 is up to 15 of 255 away, because it resizes
//! vertically first (2 with the passes in Pillow's order), `image` 0.25 also up to 15. So this is `Resample.c` of
//! Pillow written anew: coefficients of 22 fractional bits, the horizontal pass first, 8 bits between the passes.

use image::RgbImage;

/// `PRECISION_BITS` of `Resample.c`: the fractional bits of a coefficient.
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// How a pixel is made of its neighbours, as Pillow's `Image.Resampling`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResampleFilter {
    /// `BILINEAR`, number 2: a triangle one pixel wide to each side.
    Bilinear,
    /// `BICUBIC`, number 3: the cubic with `a = -0.5`, two pixels wide to each side.
    Bicubic,
}

impl ResampleFilter {
    /// How far the filter reaches to each side, in pixels of the larger picture.
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }
}

/// The resizing of one side, and the part of the result that is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side {
    /// The length after resizing.
    pub(crate) length: u64,
    /// The first place wanted.
    pub(crate) start: u64,
    /// How many places are wanted.
    pub(crate) count: u32,
}

/// One place of the result: where its pixels begin in the source, and their coefficients.
struct Taps {
    first: usize,
    coefficients: Vec<i32>,
}

/// Resizes a picture to `horizontal.length` x `vertical.length` and cuts out what is wanted of it, without making the
/// rest: `image.resize(size, filter).crop(box)` of Pillow.
///
/// Pillow 13 passes vertically first where the height shrinks much more than the width (its pull request 9549); as
/// before that change, the horizontal pass always comes first here. For squares, and where the proportions stay, 13
/// does the same.
pub(crate) fn resample(image: &RgbImage, horizontal: Side, vertical: Side, filter: ResampleFilter) -> RgbImage {
    let columns = taps(image.width(), horizontal, filter);
    let rows = taps(image.height(), vertical, filter);
    // The rows of the source that the second pass reads.
    let first_row = rows.first().map_or(0, |taps| taps.first);
    let end_row = rows.last().map_or(0, |taps| taps.first + taps.coefficients.len());

    let width = image.width() as usize;
    let source = image.as_raw();
    let mut narrowed = Vec::with_capacity((end_row - first_row) * columns.len() * 3);
    for row in source.chunks_exact(width * 3).take(end_row).skip(first_row) {
        for column in &columns {
            narrowed.extend(pixel(column, |place| place * 3, row));
        }
    }
    let stride = columns.len() * 3;
    let mut pixels = Vec::with_capacity(rows.len() * stride);
    for row in &rows {
        for column in 0..columns.len() {
            pixels.extend(pixel(row, |place| (place - first_row) * stride + column * 3, &narrowed));
        }
    }
    RgbImage::from_raw(horizontal.count, vertical.count, pixels).expect("a pixel for every place")
}

/// The weighted sum of pixels, `at` telling where one begins.
fn pixel(taps: &Taps, at: impl Fn(usize) -> usize, values: &[u8]) -> [u8; 3] {
    let mut sums = [1 << (PRECISION_BITS - 1); 3];
    for (place, coefficient) in (taps.first..).zip(&taps.coefficients) {
        let start = at(place);
        for (sum, &value) in sums.iter_mut().zip(&values[start..start + 3]) {
            *sum += i32::from(value) * coefficient;
        }
    }
    sums.map(|sum| u8::try_from((sum >> PRECISION_BITS).clamp(0, 255)).expect("clamped to 8 bits"))
}

/// `precompute_coeffs` and `normalize_coeffs_8bpc` of `Resample.c`, for the places wanted.
#[expect(clippy::cast_sign_loss, reason = "bounds are clamped to the source")]
fn taps(source: u32, side: Side, filter: ResampleFilter) -> Vec<Taps> {
    let scale = f64::from(source) / side.length as f64;
    let widening = scale.max(1.0);
    let support = filter.support() * widening;
    let place = |index: u64| {
        let center = (index as f64 + 0.5) * scale;
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(source as usize);
        let weight = |x: usize| filter.weight((x as f64 - center + 0.5) * widening.recip());
        let weights: Vec<f64> = (first..end).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: f64| (weight / sum * f64::from(1 << PRECISION_BITS)).round() as i32;
        Taps { first, coefficients: weights.into_iter().map(fixed).collect() }
    };
    (side.start..side.start + u64::from(side.count)).map(place).collect()
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn whole(length: u32) -> Side {
        Side { length: length.into(), start: 0, count: length }
    }

    /// Grey pixels `(37 i + 11 i^2) % 256`.
    fn picture(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            let i = y * width + x;
            Rgb([u8::try_from((37 * i + 11 * i * i) % 256).unwrap(); 3])
        })
    }

    fn greys(image: &RgbImage) -> Vec<u8> {
        image.pixels().map(|pixel| pixel[0]).collect()
    }

    /// ```python
    /// i = np.arange(35); a = ((37 * i + 11 * i * i) % 256).astype(np.uint8).reshape(5, 7)
    /// image = Image.fromarray(np.stack([a] * 3, 2))  # Pillow 13
    /// np.asarray(image.resize(size, filter))[..., 0]
    /// ```
    #[test]
    fn values_equal_pillow() {
        let cases: [(u32, u32, ResampleFilter, &[u8]); 4] = [
            (
                9,
                8,
                ResampleFilter::Bicubic,
                &[
                    0, 18, 65, 137, 211, 77, 137, 183, 106, 3, 83, 142, 168, 200, 131, 187, 185, 72, 24, 174, 234, 194,
                    191, 199, 233, 169, 25, 75, 185, 182, 133, 226, 176, 129, 72, 16, 156, 214, 151, 64, 176, 137, 109,
                    70, 23, 249, 255, 149, 7, 58, 104, 180, 161, 47, 223, 178, 76, 16, 133, 142, 166, 159, 113, 189,
                    114, 23, 33, 208, 176, 145, 144, 157,
                ],
            ),
            (3, 2, ResampleFilter::Bicubic, &[115, 175, 127, 160, 114, 126]),
            (
                4,
                7,
                ResampleFilter::Bilinear,
                &[
                    26, 130, 135, 146, 83, 172, 175, 137, 134, 188, 188, 106, 155, 147, 146, 45, 216, 94, 127, 101,
                    195, 73, 140, 134, 135, 73, 167, 148,
                ],
            ),
            (3, 2, ResampleFilter::Bilinear, &[120, 168, 129, 156, 121, 125]),
        ];
        for (width, height, filter, expected) in cases {
            let actual = resample(&picture(7, 5), whole(width), whole(height), filter);
            assert_eq!(greys(&actual), expected, "{filter:?} to {width} x {height}");
        }
    }

    #[test]
    fn a_part_is_cut_out_of_the_whole() {
        for (width, height) in [(31, 17), (5, 4)] {
            let whole = resample(&picture(13, 9), whole(width), whole(height), ResampleFilter::Bicubic);
            let horizontal = Side { length: width.into(), start: 2, count: width - 3 };
            let vertical = Side { length: height.into(), start: 1, count: height - 2 };
            let part = resample(&picture(13, 9), horizontal, vertical, ResampleFilter::Bicubic);
            let expected = image::imageops::crop_imm(&whole, 2, 1, width - 3, height - 2).to_image();
            assert_eq!(part, expected);
        }
    }

    #[test]
    fn the_same_size_is_the_same_picture() {
        let picture = picture(6, 4);
        assert_eq!(resample(&picture, whole(6), whole(4), ResampleFilter::Bicubic), picture);
    }

    #[test]
    fn a_strip_of_any_length_takes_no_memory_for_what_is_cut_off() {
        let strip = RgbImage::from_pixel(200_000, 1, Rgb([9, 8, 7]));
        let horizontal = Side { length: 200_000 * 224, start: 22_000_000, count: 224 };
        let part = resample(&strip, horizontal, whole(224), ResampleFilter::Bicubic);
        assert!(part.pixels().all(|pixel| pixel.0 == [9, 8, 7]));
    }
}
