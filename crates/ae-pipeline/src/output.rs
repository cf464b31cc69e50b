use ae_tensor::read;
use burn::tensor::Tensor;
use image::RgbImage;

use crate::{PipelineError, Trace};

/// The pictures of a request.
#[derive(Clone, Debug)]
pub struct Output {
    /// One per seed.
    pub pictures: Vec<Picture>,
}

/// A picture and how it came about.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Its seed.
    pub seed: u64,
    /// The picture.
    pub image: RgbImage,
    /// The final latents, `[1, channels, rows, cols]`.
    pub latents: Tensor<4>,
    /// The record of the run.
    pub trace: Trace,
}

/// Quantises a picture in -1 .. 1 as diffusers does (`VaeImageProcessor`): to 0 .. 1, clamped, times
/// 255, rounded half to even.
///
/// # Shapes
/// - picture: `[1, 3, height, width]`
pub(crate) fn to_image(picture: Tensor<4>) -> Result<RgbImage, PipelineError> {
    let [_, _, height, width] = picture.dims();
    let values = read(picture.permute([0, 2, 3, 1]))?;
    if values.iter().any(|value| !value.is_finite()) {
        return Err(PipelineError::NotFinite { stage: "decoded pictures" });
    }
    let quantise = |value: f32| {
        let scaled = (value / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0;
        #[expect(clippy::cast_sign_loss, reason = "0 to 255")]
        let byte = scaled.round_ties_even() as u8;
        byte
    };
    let size = |pixels| u32::try_from(pixels).expect("the size was checked");
    let bytes = values.into_iter().map(quantise).collect();
    Ok(RgbImage::from_raw(size(width), size(height), bytes).expect("three bytes per pixel"))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn quantised(values: [f32; 6]) -> Result<Vec<u8>, PipelineError> {
        let data = TensorData::new(values.to_vec(), [1, 3, 1, 2]);
        to_image(Tensor::from_data(data, &Device::flex())).map(RgbImage::into_raw)
    }

    /// `numpy_to_pil((x / 2 + 0.5).clamp(0, 1))`; channels first becomes channels last.
    #[test]
    fn pictures_are_clamped_and_rounded_half_to_even() {
        let half = 2.0 * (0.5 / 255.0) - 1.0; // 0.5 of 255: rounds to 0
        let bytes = quantised([-2.0, 1.5, -1.0, 0.0, half, 1.0]).unwrap();
        assert_eq!(bytes, [0, 0, 0, 255, 128, 255]);
    }

    #[test]
    fn pictures_that_are_not_finite_are_an_error() {
        assert!(matches!(quantised([f32::NAN; 6]), Err(PipelineError::NotFinite { .. })));
    }
}
