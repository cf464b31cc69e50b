use burn::tensor::Tensor;

use crate::MapSet;

/// What guidance needs of a denoiser: its attention for given latents, at one timestep and for one prompt.
pub trait AttentionModel {
    /// The attention probabilities of every layer of each set, set by set.
    ///
    /// The latents may be tracked by autodiff, and their number may differ from call to call: refinement goes on with the images
    /// that need it. `images` says which of the batch they are, for a denoiser that is told something else of each.
    ///
    /// # Shapes
    /// - latents: `[images, channels, height, width]`, as the denoiser takes them
    /// - output: for each set one or more of `[images, heads, rows * cols, tokens]`; for self-attention the last axis is
    ///   `rows * cols` too
    fn attention(&self, latents: Tensor<4>, images: &[usize], sets: &[MapSet]) -> Vec<Vec<Tensor<4>>>;
}

impl<F: Fn(Tensor<4>, &[MapSet]) -> Vec<Vec<Tensor<4>>>> AttentionModel for F {
    fn attention(&self, latents: Tensor<4>, _: &[usize], sets: &[MapSet]) -> Vec<Vec<Tensor<4>>> {
        self(latents, sets)
    }
}
