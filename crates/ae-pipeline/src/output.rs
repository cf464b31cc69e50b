use ae_tensor::{ComputeError, FloatType, read};
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
    /// What was drawn, where that is a part of the picture (`mask_padding`).
    pub part: Option<RgbImage>,
    /// The final latents, `[1, channels, rows, cols]`.
    pub latents: Tensor<4>,
    /// The record of the run.
    pub trace: Trace,
}

/// What the autoencoder gives, as errors name it.
const DECODED: &str = "pictures decoded by the autoencoder";

/// An error that says where numbers ceased to be finite: what is not finite at the end comes from the first network that gave such
/// numbers, seen by the text embeddings and the latents, which are still there. Other errors stay as they are.
pub(crate) fn located(error: PipelineError, embeddings: &Tensor<3>, latents: &Tensor<4>) -> PipelineError {
    let PipelineError::NotFinite { stage, dtype } = error else { return error };
    let first = || {
        Ok::<_, ComputeError>(if !is_finite(embeddings.clone())? {
            "text embeddings of the text encoder".to_owned()
        } else if !is_finite(latents.clone())? {
            "latents by the U-Net".to_owned()
        } else {
            stage
        })
    };
    first().map_or_else(PipelineError::from, |stage| PipelineError::NotFinite { stage, dtype })
}

fn is_finite<const D: usize>(values: Tensor<D>) -> Result<bool, ComputeError> {
    Ok(read(values)?.iter().all(|value| value.is_finite()))
}

/// Quantises a picture in -1 .. 1 as diffusers does (`VaeImageProcessor`): to 0 .. 1, clamped, times
/// 255, rounded half to even.
///
/// # Shapes
/// - picture: `[1, 3, height, width]`
///
/// # Errors
///
/// When it holds NaN or infinity, or the device fails; `dtype` is the type it was computed in.
pub(crate) fn to_image(picture: Tensor<4>, dtype: FloatType) -> Result<RgbImage, PipelineError> {
    let [_, _, height, width] = picture.dims();
    let values = read(picture.permute([0, 2, 3, 1]))?;
    if values.iter().any(|value| !value.is_finite()) {
        return Err(PipelineError::NotFinite { stage: DECODED.to_owned(), dtype });
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
        to_image(Tensor::from_data(data, &Device::flex()), FloatType::F16).map(RgbImage::into_raw)
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
        for value in [f32::INFINITY, f32::NEG_INFINITY] {
            assert!(quantised([0.0, 0.0, 0.0, value, 0.0, 0.0]).is_err());
        }
    }

    #[test]
    fn an_overflow_names_the_first_network_and_the_types_that_do_not() {
        let text = |embeddings: f32, latents: f32, dtype| {
            let (device, picture) = (Device::flex(), [f32::NAN; 6]);
            let data = TensorData::new(picture.to_vec(), [1, 3, 1, 2]);
            let error = to_image(Tensor::from_data(data, &device), dtype).unwrap_err();
            let embeddings = Tensor::<1>::from_data([1.0, embeddings], &device).reshape([1, 1, 2]);
            let latents = Tensor::<1>::from_data([latents, 1.0], &device).reshape([1, 1, 1, 2]);
            located(error, &embeddings, &latents).to_string()
        };
        let f16 = |stage: &str| {
            format!(
                "the {stage} are not finite: f16 has no numbers above 65504, which this model needs; use bf16 or f32"
            )
        };
        assert_eq!(text(f32::INFINITY, f32::NAN, FloatType::F16), f16("text embeddings of the text encoder"));
        assert_eq!(text(1.0, f32::NAN, FloatType::F16), f16("latents by the U-Net"));
        assert_eq!(text(1.0, 1.0, FloatType::F16), f16("pictures decoded by the autoencoder"));
        for dtype in [FloatType::F32, FloatType::BF16] {
            let text = text(1.0, 1.0, dtype);
            assert!(text.contains("guidance scale") && !text.contains("f16 has"), "{text}");
        }
    }
}
