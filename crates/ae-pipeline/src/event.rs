use ae_guidance::Losses;
use burn::tensor::Tensor;

use crate::{AttentionMaps, StepTrace};

/// What happens while a request is drawn.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The initial latents are there, the first step is next.
    Started {
        /// Number of denoising steps.
        num_steps: usize,
        /// The noise that the run starts from, `[pictures, channels, rows, cols]`; with an initial picture, that picture with
        /// the noise of the first step, unless a mask and the whole strength leave nothing of it.
        latents: &'a Tensor<4>,
        /// What the first step multiplies them by: the sampler's first noise level (diffusers' `init_noise_sigma`), 1 with an
        /// initial picture that is not drawn anew as a whole.
        init_noise_sigma: f64,
        /// What a model for inpainting sees of each picture beside the latents: the mask, and the latents of the initial picture
        /// without what is drawn anew, `[pictures, 1 + channels, rows, cols]`; none of other models.
        condition: Option<&'a Tensor<4>>,
    },
    /// The noise of a picture was evaluated, before the first step ([`Settings::initial_noise`](ae_settings::Settings::initial_noise)).
    SearchedNoise {
        /// Index of the picture within the request's seeds.
        picture: usize,
        /// The passes for the picture before this one.
        pass: usize,
        /// The losses of the noise.
        losses: &'a Losses,
    },
    /// The loss was evaluated: once per guided step, and once per refinement iteration.
    Evaluated {
        /// Index of the denoising step.
        step: usize,
        /// Number of denoising steps.
        num_steps: usize,
        /// Refinement updates made in this step so far.
        iteration: usize,
        /// Index of the picture within the request's seeds.
        picture: usize,
        /// Its losses.
        losses: &'a Losses,
    },
    /// A denoising step ended.
    Denoised {
        /// Index of the step.
        step: usize,
        /// Number of denoising steps.
        num_steps: usize,
        /// What happened to each picture.
        traces: &'a [StepTrace],
        /// The attention of the step's noise prediction, for each picture; empty unless the request asks for it.
        attention: &'a [AttentionMaps],
        /// The latents after the step, `[pictures, channels, rows, cols]`;
        /// [`Pipeline::decode`](crate::Pipeline::decode) makes pictures of them.
        latents: &'a Tensor<4>,
        /// The gradient of each picture's loss by the U-Net's input, of the same shape, as the step's last latent update used
        /// it; none at a step without one.
        gradient: Option<&'a Tensor<4>>,
    },
}
