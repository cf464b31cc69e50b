use image::{GrayImage, RgbImage};

use super::region::Region;

/// A picture of which a part is drawn anew.
#[derive(Clone, Debug)]
pub(super) struct Overlay {
    /// The picture as it was.
    pub(super) picture: RgbImage,
    /// Of its size: black where it stays.
    pub(super) mask: GrayImage,
    /// What of it was drawn; none is all.
    pub(super) region: Option<Region>,
}

impl Overlay {
    /// What was drawn, laid into the picture as the mask says: under black every pixel is the picture's own. As
    /// `VaeImageProcessor.apply_overlay`, which lays what stays over what was drawn.
    pub(super) fn over(&self, drawn: &RgbImage) -> RgbImage {
        let covered;
        let (drawn, [left, top]) = match self.region {
            Some(region) => {
                covered = region.cover(drawn);
                (&covered, [region.x, region.y])
            }
            None => (drawn, [0, 0]),
        };
        let mut picture = self.picture.clone();
        for (x, y, pixel) in drawn.enumerate_pixels() {
            let (x, y) = (left + x, top + y);
            let share = u32::from(self.mask.get_pixel(x, y).0[0]);
            let own = picture.get_pixel_mut(x, y);
            for (own, drawn) in own.0.iter_mut().zip(pixel.0) {
                let mixed = (u32::from(*own) * (255 - share) + u32::from(drawn) * share + 127) / 255;
                *own = u8::try_from(mixed).expect("between two bytes");
            }
        }
        picture
    }
}
