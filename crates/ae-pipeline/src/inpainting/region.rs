//! The part of a picture around a mask (`VaeImageProcessor.get_crop_region`, `_resize_and_fill`, `_resize_and_crop`).

use image::imageops::{self, FilterType};
use image::{GrayImage, ImageBuffer, Pixel};

/// An image of bytes.
pub(super) type Bytes<P> = ImageBuffer<P, Vec<u8>>;

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Region {
    /// All pixels of a mask that are not black, with a padding around them and then wide or high enough for the proportions of the
    /// `drawn` picture (width, height), as far as the mask reaches.
    pub(super) fn around(mask: &GrayImage, drawn: [u32; 2], padding: usize) -> Self {
        let padding = u32::try_from(padding).unwrap_or(u32::MAX);
        let (mut left, mut top, mut right, mut bottom) = (u32::MAX, u32::MAX, 0, 0);
        for (x, y, _) in mask.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[0] > 0) {
            (left, top) = (left.min(x), top.min(y));
            (right, bottom) = (right.max(x + 1), bottom.max(y + 1));
        }
        let padded = |from: u32, to: u32, end: u32| [from.saturating_sub(padding), to.saturating_add(padding).min(end)];
        let (columns, rows) = (padded(left, right, mask.width()), padded(top, bottom, mask.height()));
        let [width, height] = [columns, rows].map(|[from, to]| f64::from(to - from));
        let proportions = f64::from(drawn[0]) / f64::from(drawn[1]);
        let (columns, rows) = if width / height > proportions {
            (columns, widened(rows, width / proportions, mask.height()))
        } else {
            (widened(columns, height * proportions, mask.width()), rows)
        };
        Self { x: columns[0], y: rows[0], width: columns[1] - columns[0], height: rows[1] - rows[0] }
    }

    /// A part of this region's size as large as it fits into a size (width, height), in the middle; its edges go on beside it.
    pub(super) fn fill<P: Pixel<Subpixel = u8> + 'static>(self, part: &Bytes<P>, size: [u32; 2]) -> Bytes<P> {
        let fitted = self.fitted(size, false);
        let resized = imageops::resize(part, fitted[0], fitted[1], FilterType::Lanczos3);
        let [left, top] = [0, 1].map(|side| size[side] / 2 - fitted[side] / 2);
        ImageBuffer::from_fn(size[0], size[1], |x, y| {
            let inside = |at: u32, margin: u32, length: u32| at.saturating_sub(margin).min(length - 1);
            *resized.get_pixel(inside(x, left, fitted[0]), inside(y, top, fitted[1]))
        })
    }

    /// The inverse: what was drawn, as large as it covers this region, without what sticks out.
    pub(super) fn cover<P: Pixel<Subpixel = u8> + 'static>(self, drawn: &Bytes<P>) -> Bytes<P> {
        let of_drawn = Self { x: 0, y: 0, width: drawn.width(), height: drawn.height() };
        let size = of_drawn.fitted([self.width, self.height], true);
        let resized = imageops::resize(drawn, size[0], size[1], FilterType::Lanczos3);
        let middle = Self { x: size[0] / 2 - self.width / 2, y: size[1] / 2 - self.height / 2, ..self };
        crop(&resized, middle)
    }

    /// Width and height of this region where it fits into a size, or, if it `covers`, where the size fits into it.
    fn fitted(self, [width, height]: [u32; 2], covers: bool) -> [u32; 2] {
        // In whole numbers: width / height against the proportions of the region.
        let [own, other] = [u64::from(width) * u64::from(self.height), u64::from(self.width) * u64::from(height)];
        let scaled = |a: u32, b: u32, by: u32| {
            u32::try_from(u64::from(a) * u64::from(b) / u64::from(by)).unwrap_or(u32::MAX).max(1)
        };
        let keeps_width = if covers { own > other } else { own < other };
        let keeps_height = if covers { own <= other } else { own >= other };
        [
            if keeps_width { width } else { scaled(self.width, height, self.height) },
            if keeps_height { height } else { scaled(self.height, width, self.width) },
        ]
    }
}

/// A stretch of pixels made as long as wanted to both sides, within 0 .. `end`.
#[expect(clippy::cast_possible_truncation, reason = "lengths of images, cut off as the reference does")]
fn widened([from, to]: [u32; 2], wanted: f64, end: u32) -> [u32; 2] {
    let (from, to, end) = (i64::from(from), i64::from(to), i64::from(end));
    let more = wanted as i64 - (to - from);
    let (mut from, mut to) = (from - more / 2, to + more - more / 2);
    if to >= end {
        from -= to - end;
        to = end;
    }
    if from < 0 {
        to -= from;
        from = 0;
    }
    let side = |side: i64| u32::try_from(side).expect("within the image");
    [side(from), side(to.min(end))]
}

/// The pixels of a region.
pub(super) fn crop<P: Pixel<Subpixel = u8> + 'static>(image: &Bytes<P>, region: Region) -> Bytes<P> {
    imageops::crop_imm(image, region.x, region.y, region.width, region.height).to_image()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(size: [u32; 2], white: [u32; 4]) -> GrayImage {
        let [left, top, right, bottom] = white;
        ImageBuffer::from_fn(size[0], size[1], |x, y| {
            image::Luma([u8::from((left..right).contains(&x) && (top..bottom).contains(&y))])
        })
    }

    // VaeImageProcessor().get_crop_region(mask, width, height, pad): (x1, y1, x2, y2)
    #[test]
    fn regions_are_those_of_diffusers() {
        for (size, white, drawn, padding, expected) in EXPECTED {
            let Region { x, y, width, height } = Region::around(&mask(*size, *white), *drawn, *padding);
            assert_eq!([x, y, x + width, y + height], *expected, "{size:?} {white:?} {drawn:?} {padding}");
        }
    }

    type Case = ([u32; 2], [u32; 4], [u32; 2], usize, [u32; 4]);

    const EXPECTED: &[Case] = &[
        ([64, 64], [20, 14, 47, 41], [64, 64], 4, [16, 10, 51, 45]),
        ([64, 64], [20, 14, 47, 41], [64, 64], 0, [20, 14, 47, 41]),
        ([100, 60], [3, 5, 10, 50], [64, 64], 8, [0, 0, 58, 58]),
        ([100, 60], [80, 50, 100, 60], [96, 64], 3, [77, 45, 100, 60]),
        ([60, 100], [0, 0, 60, 2], [64, 64], 0, [0, 0, 60, 60]),
        ([61, 97], [30, 90, 33, 97], [128, 64], 10, [15, 80, 49, 97]),
        ([200, 50], [10, 20, 190, 22], [64, 64], 0, [10, 0, 190, 50]),
        ([50, 200], [20, 10, 22, 190], [64, 128], 7, [0, 3, 50, 197]),
        ([64, 48], [0, 0, 1, 1], [512, 512], 0, [0, 0, 1, 1]),
        ([64, 48], [1, 1, 63, 47], [512, 512], 32, [0, 0, 64, 48]),
    ];

    #[test]
    fn a_part_of_other_proportions_goes_on_at_its_edges_and_comes_back() {
        let region = Region { x: 0, y: 0, width: 2, height: 6 };
        let part: GrayImage = ImageBuffer::from_fn(2, 6, |x, _| image::Luma([if x == 0 { 10 } else { 200 }]));
        let filled = region.fill(&part, [8, 6]);
        let row: Vec<u8> = filled.rows().next().unwrap().map(|pixel| pixel.0[0]).collect();
        assert_eq!(row, [10, 10, 10, 10, 200, 200, 200, 200]);
        assert_eq!(region.cover(&filled), part);
    }
}
