//! What a run starts from, and what it is told beside its latents.

use ae_scheduler::Scheduler;
use ae_tensor::NoiseSource;
use burn::tensor::Tensor;

use crate::init_image::{draw, image_tensor};
use crate::{Pipeline, PipelineError, Prepared};

/// The beginning of a run.
pub(crate) struct Start {
    /// The initial latents, and what the first step multiplies them by.
    pub(crate) latents: (Tensor<4>, f64),
    pub(crate) condition: Option<Condition>,
    pub(crate) kept: Option<Kept>,
}

impl Start {
    /// Draws the noise and encodes the images, in the order of diffusers' draws: the sample of the initial image where it is needed,
    /// the noise, and with a mask the sample of the image without what is drawn anew.
    pub(crate) fn new(
        pipeline: &Pipeline,
        prepared: &Prepared,
        scheduler: &dyn Scheduler,
        noise: &mut [NoiseSource],
    ) -> Result<Self, PipelineError> {
        let device = &pipeline.device;
        let scale = pipeline.vae_config.scale();
        let [rows, cols] = prepared.latent_size;
        let shape = [1, pipeline.vae_config.latent_channels, rows, cols];
        let size = prepared.latent_size.map(|side| side * scale);
        let mut draw = || draw(noise, shape, device);
        // With a mask the whole strength starts from noise alone (`is_strength_max` of the pipeline for inpainting).
        let inpainting = prepared.inpainting.as_deref();
        let is_whole = inpainting.is_some() && prepared.settings().strength.is_some_and(|strength| strength >= 1.0);
        let blends = inpainting.is_some() && !pipeline.is_inpainting();
        let image = inpainting.map(|inpainting| &inpainting.image).or(prepared.init_image.as_ref());
        let image = image.filter(|_| blends || !is_whole);
        let vae = (image.is_some() || pipeline.is_inpainting()).then(|| pipeline.vae.get()).transpose()?;
        let encoded = vae.as_ref().zip(image);
        let encoded = encoded.map(|(vae, image)| vae.encode(image_tensor(image, size, device)).sample(draw()));
        // Drawn in any case, so that the steps of a sampler that draws find the generators where they were.
        let drawn = draw();
        let latents = match &encoded {
            Some(encoded) if !is_whole => (scheduler.add_noise(encoded.clone(), drawn.clone(), 0), 1.0),
            _ => {
                let given = prepared.latents.as_ref().map(|given| given.tensor(device));
                (given.unwrap_or_else(|| drawn.clone()), scheduler.init_noise_sigma())
            }
        };
        let masked = (pipeline.is_inpainting() || inpainting.is_some()).then(draw);
        let mask = inpainting.map(|inpainting| inpainting.mask(scale, device));
        let condition = vae.zip(masked).filter(|_| pipeline.is_inpainting()).map(|(vae, noise)| {
            // Without a mask all is drawn anew, and nothing is left of an image.
            let image = inpainting.map(|inpainting| inpainting.masked_image(device));
            let image = image.unwrap_or_else(|| Tensor::zeros([1, 3, size[0], size[1]], device));
            let mask = mask.clone().unwrap_or_else(|| Tensor::ones([1, 1, rows, cols], device));
            let mask = mask.repeat_dim(0, prepared.seeds.len());
            Condition(Tensor::cat(vec![mask, vae.encode(image).sample(noise)], 1))
        });
        let kept = encoded.zip(mask).filter(|_| blends);
        let kept = kept.map(|(image, mask)| Kept { image, noise: drawn, mask });
        Ok(Self { latents, condition, kept })
    }
}

/// What a U-Net for inpainting sees of every picture beside its latents: the mask, and the latents of the image without what is
/// drawn anew; `[pictures, 1 + channels, rows, cols]`.
pub(crate) struct Condition(pub(crate) Tensor<4>);

/// The input of the U-Net: latents of some of the run's pictures with what it sees beside them, if anything. Gradients go through
/// the latents.
///
/// # Shapes
/// - latents: `[images, channels, rows, cols]`
/// - output: `[images, in_channels, rows, cols]`
pub(crate) fn beside(condition: Option<&Condition>, latents: Tensor<4>, images: &[usize]) -> Tensor<4> {
    let Some(Condition(every)) = condition else { return latents };
    let beside = if images.len() == every.dims()[0] {
        every.clone()
    } else {
        Tensor::cat(images.iter().map(|&image| every.clone().narrow(0, image, 1)).collect(), 0)
    };
    Tensor::cat(vec![latents, beside], 1)
}

/// The part of an image that stays where the U-Net does not know of it: it is put back after every step, as noisy as the next.
///
/// Samplers that evaluate the model twice in a step are left alone between the two.
pub(crate) struct Kept {
    /// `[pictures, channels, rows, cols]`
    image: Tensor<4>,
    /// That of the run's start, of the same shape.
    noise: Tensor<4>,
    /// `[1, 1, rows, cols]`, 0 where the image stays
    mask: Tensor<4>,
}

impl Kept {
    /// The latents with what stays, before a step; after the last step without noise.
    pub(crate) fn put_back(&self, latents: Tensor<4>, scheduler: &dyn Scheduler, step: usize) -> Tensor<4> {
        let kept = if step < scheduler.timesteps().len() {
            scheduler.add_noise(self.image.clone(), self.noise.clone(), step)
        } else {
            self.image.clone()
        };
        let stays = self.mask.ones_like() - self.mask.clone();
        kept * stays + latents * self.mask.clone()
    }
}
