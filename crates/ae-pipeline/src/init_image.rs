use ae_tensor::NoiseSource;
use burn::tensor::{Device, Tensor, TensorData};
use image::RgbImage;
use image::imageops::{FilterType, resize};

/// The number of denoising steps left out, as in `StableDiffusionImg2ImgPipeline.get_timesteps`.
#[expect(clippy::cast_sign_loss, reason = "the strength is checked to be positive")]
pub(crate) fn first_step(num_inference_steps: usize, strength: f64) -> usize {
    let taken = (num_inference_steps as f64 * strength) as usize;
    num_inference_steps - taken.min(num_inference_steps)
}

/// An image at `size` (height, width), in -1 .. 1.
///
/// # Shapes
/// - output: `[1, 3, height, width]`
pub(crate) fn image_tensor(image: &RgbImage, size: [usize; 2], device: &Device) -> Tensor<4> {
    let [height, width] = size;
    let side = |pixels| u32::try_from(pixels).expect("the size was checked");
    let resized;
    let image = if image.dimensions() == (side(width), side(height)) {
        image
    } else {
        resized = resize(image, side(width), side(height), FilterType::Lanczos3);
        &resized
    };
    let values: Vec<f32> = image.as_raw().iter().map(|&byte| f32::from(byte) / 255.0 * 2.0 - 1.0).collect();
    Tensor::from_data(TensorData::new(values, [1, height, width, 3]), device).permute([0, 3, 1, 2])
}

/// One tensor of noise per picture, each from its own generator.
pub(crate) fn draw(noise: &mut [NoiseSource], shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::cat(noise.iter_mut().map(|source| source.tensor(shape, device)).collect(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strength_is_the_share_of_steps_taken() {
        assert_eq!(first_step(50, 1.0), 0);
        assert_eq!(first_step(50, 0.8), 10);
        // int(10 * 0.55) = 5 of 10 steps
        assert_eq!(first_step(10, 0.55), 5);
        assert_eq!(first_step(50, 0.01), 50);
    }

    #[test]
    fn a_picture_of_the_right_size_is_only_scaled() {
        let image = RgbImage::from_raw(2, 1, vec![0, 255, 51, 255, 0, 102]).unwrap();
        let tensor = image_tensor(&image, [1, 2], &Device::flex());
        let values = tensor.into_data().try_into_vec_as::<f32>().unwrap();
        for (value, expected) in values.iter().zip([-1.0, 1.0, 1.0, -1.0, -0.6, -0.2]) {
            assert!((value - expected).abs() < 1e-6, "{values:?}");
        }
    }
}
