use crate::{Pipeline, PipelineError, Request};

/// Longest side of a picture in pixels: beyond it the latents alone exhaust the memory of any machine
/// before the first step ends.
const LARGEST_SIDE: usize = 8192;

/// Rows and columns of the latents of a request.
pub(crate) fn latent_size(pipeline: &Pipeline, request: &Request) -> Result<[usize; 2], PipelineError> {
    let scale = pipeline.vae_config.scale();
    let smallest = scale << pipeline.unet_config.reductions();
    let [height, width] = match (&request.init_image, &request.latents) {
        // A part of the image is drawn as large as the model draws.
        (Some(_), _) if request.mask.is_some() && request.settings.mask_padding.is_some() => pipeline.default_size(),
        (Some(image), _) => [image.height(), image.width()].map(|side| (side as usize / scale * scale).max(smallest)),
        (None, Some(latents)) => latents.size().map(|side| side.saturating_mul(scale)),
        (None, None) => pipeline.default_size(),
    };
    let sides =
        [("height", request.settings.height.unwrap_or(height)), ("width", request.settings.width.unwrap_or(width))];
    for (option, side) in sides {
        if side % scale != 0 || side < smallest || side > LARGEST_SIDE {
            let expected = if side > LARGEST_SIDE {
                format!("at most {LARGEST_SIDE}")
            } else {
                format!("a multiple of {scale}, at least {smallest}")
            };
            return Err(PipelineError::Option { option, value: side.to_string(), expected });
        }
    }
    Ok(sides.map(|(_, side)| side / scale))
}
