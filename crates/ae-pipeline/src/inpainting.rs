//! What a mask asks for, on the host: which pixels are drawn anew, and what the picture is pasted into.
//!
//! Images are prepared as by diffusers' `StableDiffusionInpaintPipeline` and its `VaeImageProcessor`.

mod overlay;
mod region;

use ae_settings::Settings;
use burn::tensor::{Device, Tensor, TensorData};
use image::imageops::{self, FilterType};
use image::{GrayImage, RgbImage};

use crate::PipelineError;
use crate::init_image::image_tensor;
use overlay::Overlay;
use region::{Region, crop};

/// A mask's pixel from which on it is white: half of 255, rounded up (`VaeImageProcessor.binarize`).
const WHITE: u8 = 128;

/// The part of an initial image that is drawn anew, at the size that is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Inpainting {
    /// The initial image, or the part of it around the mask.
    pub(crate) image: RgbImage,
    /// Of the image's size, from black to white.
    mask: GrayImage,
    overlay: Option<Overlay>,
}

impl Inpainting {
    /// Prepares an image and its mask for a picture of `size` (height, width) with latents `scale` times smaller. The second value
    /// is what is to be said.
    ///
    /// # Errors
    ///
    /// When nothing of the picture would be drawn, or the options do not fit together.
    pub(crate) fn new(
        image: &RgbImage,
        mask: &GrayImage,
        settings: &Settings,
        size: [usize; 2],
        scale: usize,
    ) -> Result<(Self, Option<String>), PipelineError> {
        let [height, width] = size.map(|side| u32::try_from(side).expect("the size was checked"));
        let mut mask = mask.clone();
        let stretched = (mask.dimensions() != image.dimensions()).then(|| {
            let ((from_width, from_height), (width, height)) = (mask.dimensions(), image.dimensions());
            mask = imageops::resize(&mask, width, height, FilterType::Lanczos3);
            format!("the mask has {from_width} x {from_height} pixels and is stretched to the initial image's {width} x {height}")
        });
        if settings.mask_invert {
            imageops::invert(&mut mask);
        }
        if settings.mask_blur > 0.0 {
            mask = imageops::blur(&mask, settings.mask_blur as f32);
        }
        if mask.iter().all(|&pixel| pixel == 0) {
            return Err(nothing_to_draw("black everywhere"));
        }
        let inpainting = if let Some(padding) = settings.mask_padding {
            if !settings.mask_overlay {
                let (option, value) = ("mask_overlay", "off with a padding".to_owned());
                let expected = "it on, as the part that is drawn has to be pasted into the picture".to_owned();
                return Err(PipelineError::Option { option, value, expected });
            }
            let region = Region::around(&mask, [width, height], padding);
            let part = region.fill(&crop(image, region), [width, height]);
            let masked = region.fill(&crop(&mask, region), [width, height]);
            let overlay = Overlay { picture: image.clone(), mask, region: Some(region) };
            Self { image: part, mask: masked, overlay: Some(overlay) }
        } else {
            let image = resized(image, [width, height]);
            let mask = resized(&mask, [width, height]);
            let overlay = Overlay { picture: image.clone(), mask: mask.clone(), region: None };
            Self { image, mask, overlay: settings.mask_overlay.then_some(overlay) }
        };
        if inpainting.latent_mask(scale).iter().all(|&value| value == 0.0) {
            return Err(nothing_to_draw(&format!("white in fewer than {scale} x {scale} pixels of the picture")));
        }
        Ok((inpainting, stretched))
    }

    /// The mask of the latents: every pixel where a latent begins (`torch.nn.functional.interpolate`, nearest).
    ///
    /// # Shapes
    /// - output: `[1, 1, rows, cols]`, 1 where they are drawn anew and 0 elsewhere
    pub(crate) fn mask(&self, scale: usize, device: &Device) -> Tensor<4> {
        let (width, height) = self.mask.dimensions();
        let [rows, cols] = [height, width].map(|side| side as usize / scale);
        Tensor::from_data(TensorData::new(self.latent_mask(scale), [1, 1, rows, cols]), device)
    }

    fn latent_mask(&self, scale: usize) -> Vec<f32> {
        let rows = self.mask.rows().step_by(scale);
        rows.flat_map(|row| row.step_by(scale).map(|pixel| if pixel.0[0] < WHITE { 0.0 } else { 1.0 })).collect()
    }

    /// The image without what is drawn anew: there it is grey.
    ///
    /// # Shapes
    /// - output: `[1, 3, height, width]`, in -1 .. 1
    pub(crate) fn masked_image(&self, device: &Device) -> Tensor<4> {
        let (width, height) = self.mask.dimensions();
        let size = [height, width].map(|side| side as usize);
        let kept: Vec<f32> = self.mask.iter().map(|&pixel| if pixel < WHITE { 1.0 } else { 0.0 }).collect();
        let kept = Tensor::<4>::from_data(TensorData::new(kept, [1, 1, size[0], size[1]]), device);
        image_tensor(&self.image, size, device) * kept
    }

    /// The finished picture of one that was drawn; none where that is the finished one.
    pub(crate) fn finished(&self, drawn: &RgbImage) -> Option<RgbImage> {
        self.overlay.as_ref().map(|overlay| overlay.over(drawn))
    }

    /// Whether what is drawn is a part of the picture.
    pub(crate) fn is_part(&self) -> bool {
        self.overlay.as_ref().is_some_and(|overlay| overlay.region.is_some())
    }
}

/// An image at a size (width, height); as it is where it has that size.
fn resized<P>(image: &image::ImageBuffer<P, Vec<u8>>, [width, height]: [u32; 2]) -> image::ImageBuffer<P, Vec<u8>>
where
    P: image::Pixel<Subpixel = u8> + 'static,
{
    if image.dimensions() == (width, height) {
        return image.clone();
    }
    imageops::resize(image, width, height, FilterType::Lanczos3)
}

fn nothing_to_draw(value: &str) -> PipelineError {
    let expected = "white where the picture is drawn anew".to_owned();
    PipelineError::Option { option: "mask", value: value.to_owned(), expected }
}

#[cfg(test)]
mod tests;
