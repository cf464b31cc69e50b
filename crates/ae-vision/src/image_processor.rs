mod config;
mod error;

use burn::tensor::{Device, Tensor, TensorData};
use image::RgbImage;

pub use error::ImageProcessorError;

use crate::resample::{ResampleFilter, Side, resample};

/// The mean of the channels in OpenAI's CLIP (`OPENAI_CLIP_MEAN` of transformers); BLIP has the same.
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// The deviation of the channels, `OPENAI_CLIP_STD`.
const STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// To what size a picture is brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ResizeTo {
    /// The shorter side to this length, the longer one in proportion, rounded down; then the middle is cut out.
    ShortestEdge(u32),
    /// Width and height, whatever the proportions.
    Exact {
        /// The width.
        width: u32,
        /// The height.
        height: u32,
    },
}

/// What makes of a picture the input of a model: transformers' `CLIPImageProcessorPil` and `BlipImageProcessorPil`, and
/// so the preprocessing of the official script: resize as Pillow does, cut out the middle, scale to 0..1, normalise.
///
/// The pixels are those of Pillow and the values those of transformers, bit by bit. One exception: a picture squashed
/// out of its proportions is resized horizontally first, as by Pillow up to 12; Pillow 13 begins vertically where the
/// height shrinks much more, such as in large portraits for BLIP (up to 3 of 255 in those measured). Where an odd
/// number of pixels is cut off, the smaller half goes first as in transformers; the transform of `clip.load` rounds
/// the half to even. With square pictures there is nothing to cut off.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageProcessor {
    /// The size to resize to.
    resize: ResizeTo,
    /// Width and height of the middle that is cut out afterwards, never more than there is.
    crop: Option<[u32; 2]>,
    /// The filter of the resizing.
    filter: ResampleFilter,
    /// What the pixels' 0..=255 are multiplied with, 1/255 as a rule.
    rescale_factor: f64,
    /// What is subtracted from each channel.
    mean: [f32; 3],
    /// What each channel is divided by then.
    std: [f32; 3],
}

impl ImageProcessor {
    /// That of `openai/clip-vit-base-patch16` and its like, for a model that takes pictures of `size` x `size`, 224
    /// as a rule: bicubic, the shorter side to `size`, the middle cut out.
    pub fn clip(size: u32) -> Self {
        Self { resize: ResizeTo::ShortestEdge(size), crop: Some([size; 2]), ..Self::blip(size) }
    }

    /// That of `Salesforce/blip-image-captioning-base` and its like, for a model that takes pictures of `size` x
    /// `size`, 384 as a rule: bicubic, squashed into the square.
    pub fn blip(size: u32) -> Self {
        Self {
            resize: ResizeTo::Exact { width: size, height: size },
            crop: None,
            filter: ResampleFilter::Bicubic,
            rescale_factor: 255_f64.recip(),
            mean: MEAN,
            std: STD,
        }
    }

    /// For a network that takes pictures of `size` x `size` with values in -1..=1: bicubic, squashed into the square.
    pub(crate) fn signed_square(size: u32) -> Self {
        Self { mean: [0.5; 3], std: [0.5; 3], ..Self::blip(size) }
    }

    /// Width and height of what it makes of every picture.
    pub fn output_size(&self) -> [u32; 2] {
        self.crop.unwrap_or(match self.resize {
            ResizeTo::Exact { width, height } => [width, height],
            ResizeTo::ShortestEdge(edge) => [edge; 2],
        })
    }

    /// The resized and cut picture, before it becomes numbers.
    ///
    /// # Errors
    ///
    /// A picture without pixels.
    pub fn resized(&self, image: &RgbImage) -> Result<RgbImage, ImageProcessorError> {
        let (width, height) = image.dimensions();
        if width == 0 || height == 0 {
            return Err(ImageProcessorError::EmptyPicture);
        }
        let [to_width, to_height] = match self.resize {
            ResizeTo::Exact { width, height } => [width, height].map(u64::from),
            ResizeTo::ShortestEdge(edge) => {
                let in_proportion = |side: u32| u64::from(edge) * u64::from(side) / u64::from(width.min(height));
                [in_proportion(width), in_proportion(height)]
            }
        };
        let middle = |length: u64, count: u32| Side { length, start: (length - u64::from(count)) / 2, count };
        let [width, height] = self.output_size();
        Ok(resample(image, middle(to_width, width), middle(to_height, height), self.filter))
    }

    /// The input of a model: `processor(images)["pixel_values"]`.
    ///
    /// # Shapes
    /// - output: `[images, 3, height, width]` of [`Self::output_size`]
    ///
    /// # Errors
    ///
    /// No pictures, or one without pixels.
    pub fn pixel_values(&self, images: &[RgbImage], device: &Device) -> Result<Tensor<4>, ImageProcessorError> {
        if images.is_empty() {
            return Err(ImageProcessorError::NoPictures);
        }
        let [width, height] = self.output_size().map(|side| side as usize);
        let tables: [Vec<f32>; 3] = std::array::from_fn(|channel| {
            let value = |byte: u8| {
                let scaled = (f64::from(byte) * self.rescale_factor) as f32;
                (scaled - self.mean[channel]) / self.std[channel]
            };
            (0..=u8::MAX).map(value).collect()
        });
        let mut values = Vec::with_capacity(images.len() * 3 * height * width);
        for image in images {
            let resized = self.resized(image)?;
            for (channel, table) in tables.iter().enumerate() {
                values.extend(resized.pixels().map(|pixel| table[usize::from(pixel[channel])]));
            }
        }
        Ok(Tensor::from_data(TensorData::new(values, [images.len(), 3, height, width]), device))
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    /// Horizontally its place, vertically its place.
    fn gradient(width: u32, height: u32) -> RgbImage {
        let byte = |value: u32| u8::try_from(value % 256).unwrap();
        RgbImage::from_fn(width, height, |x, y| Rgb([byte(x), byte(y), byte(x + y)]))
    }

    #[test]
    fn the_middle_of_the_longer_side_is_kept() {
        let processor = ImageProcessor::clip(8);
        // The shorter side is 8 already: nothing is resized.
        let wide = processor.resized(&gradient(13, 8)).unwrap();
        assert_eq!((wide.dimensions(), wide[(0, 0)].0), ((8, 8), [2, 0, 2]));
        let high = processor.resized(&gradient(8, 20)).unwrap();
        assert_eq!((high.dimensions(), high[(0, 0)].0), ((8, 8), [0, 6, 6]));
    }

    #[test]
    fn a_picture_is_squashed_into_a_square() {
        let squashed = ImageProcessor::blip(8).resized(&gradient(40, 8)).unwrap();
        assert_eq!(squashed.dimensions(), (8, 8));
        assert_eq!(squashed[(0, 3)][1], 3);
        assert!(squashed[(0, 0)][0] < 4 && squashed[(7, 0)][0] > 35);
    }

    /// ```python
    /// image = np.broadcast_to(np.array([0, 128, 255], np.uint8), (2, 2, 3))
    /// CLIPImageProcessorPil(size={"shortest_edge": 2}, crop_size=2)(image)["pixel_values"][0][:, 0, 0]
    /// ```
    #[test]
    fn values_equal_transformers() {
        let image = RgbImage::from_pixel(2, 2, Rgb([0, 128, 255]));
        let values = ImageProcessor::clip(2).pixel_values(&[image.clone(), image], &Device::flex()).unwrap();
        assert_eq!(values.dims(), [2, 3, 2, 2]);
        let values = values.into_data().iter::<f32>().collect::<Vec<_>>();
        for (channel, expected) in [-1.792_262_6, 0.168_897_32, 2.145_897].into_iter().enumerate() {
            let actual = values[12 + channel * 4];
            assert!((actual - expected).abs() < 2e-7, "channel {channel}: {actual} instead of {expected}");
        }
    }

    #[test]
    fn nothing_to_look_at_is_refused() {
        let processor = ImageProcessor::clip(8);
        let refusal = |images: &[RgbImage]| processor.pixel_values(images, &Device::flex()).unwrap_err().to_string();
        assert_eq!(refusal(&[]), "no pictures to look at: give at least one");
        assert_eq!(refusal(&[RgbImage::new(0, 4)]), "the picture has no pixels: give one of at least 1 x 1");
    }

    #[test]
    fn a_long_strip_is_cut_not_enlarged() {
        let strip = ImageProcessor::clip(224).resized(&RgbImage::new(100_000, 1)).unwrap();
        assert_eq!(strip.dimensions(), (224, 224));
    }
}
