use ae_settings::Settings;
use image::RgbImage;

use crate::{Pipeline, PipelineError};

/// Longest side of a picture in pixels: beyond it the latents alone exhaust the memory of any machine
/// before the first step ends.
const LARGEST_SIDE: usize = 8192;

/// Rows and columns of the latents of a request.
pub(crate) fn latent_size(
    pipeline: &Pipeline,
    settings: &Settings,
    init_image: Option<&RgbImage>,
) -> Result<[usize; 2], PipelineError> {
    let scale = pipeline.vae_config.scale();
    let smallest = scale << pipeline.unet_config.reductions();
    let [height, width] = match init_image {
        Some(image) => [image.height(), image.width()].map(|side| (side as usize / scale * scale).max(smallest)),
        None => pipeline.default_size(),
    };
    let sides = [("height", settings.height.unwrap_or(height)), ("width", settings.width.unwrap_or(width))];
    for (option, side) in sides {
        if side % scale != 0 || side < smallest || side > LARGEST_SIDE {
            let expected = format!("a multiple of {scale} from {smallest} to {LARGEST_SIDE}");
            return Err(PipelineError::Option { option, value: side.to_string(), expected });
        }
    }
    Ok(sides.map(|(_, side)| side / scale))
}
