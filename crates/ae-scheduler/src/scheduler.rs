//! The interface of a sampler.

use std::fmt::Debug;

use burn::tensor::Tensor;

/// A sampler over a fixed number of denoising steps.
///
/// One denoising loop calls, for each index of [`timesteps`](Self::timesteps) *in order*,
/// [`scale_model_input`](Self::scale_model_input), the model, and [`step`](Self::step) once.
/// A new loop starts at index 0, which forgets what a multistep sampler remembers of the last one.
///
/// Samples are latents `[batch, channels, height, width]`. The arithmetic runs in their dtype:
/// keep them in f32 for parity with diffusers.
pub trait Scheduler: Debug + Send {
    /// The model's timestep at every denoising step, from noise to image.
    ///
    /// Timesteps count from 0 to `num_train_timesteps - 1`. Usually there is one for each inference
    /// step, but PNDM repeats its second one: 51 for 50 steps.
    fn timesteps(&self) -> &[f64];

    /// The standard deviation of the initial noise: multiply unit Gaussian noise by it.
    ///
    /// One, unless the sampler counts in noise levels.
    fn init_noise_sigma(&self) -> f64 {
        1.0
    }

    /// A clean sample with unit Gaussian `noise` added to it, as noisy as the first timestep expects; both and
    /// the result have the same shape. What image-to-image starts from.
    fn add_noise(&self, sample: Tensor<4>, noise: Tensor<4>) -> Tensor<4>;

    /// What the model sees at denoising step `step`: the sample at unit variance, same shape.
    ///
    /// The sample itself, unless the sampler counts in noise levels.
    ///
    /// # Panics
    ///
    /// It may, if `step` is not an index of [`timesteps`](Self::timesteps).
    fn scale_model_input(&self, sample: Tensor<4>, step: usize) -> Tensor<4> {
        let _ = step;
        sample
    }

    /// The sample one denoising step further.
    ///
    /// `model_output` is the model's prediction for `sample` at `timesteps()[step]`; both and the
    /// result have the same shape and dtype. `noise` yields unit Gaussian noise of that shape: the
    /// ancestral sampler calls it once per step, the others never.
    ///
    /// # Panics
    ///
    /// If `step` is not an index of [`timesteps`](Self::timesteps), or if steps are left out.
    fn step(
        &mut self,
        model_output: Tensor<4>,
        step: usize,
        sample: Tensor<4>,
        noise: &mut dyn FnMut() -> Tensor<4>,
    ) -> Tensor<4>;
}
