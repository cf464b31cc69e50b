use burn::tensor::Tensor;

/// What guidance needs of a denoiser: its cross-attention for given latents, at one timestep and for
/// one prompt.
pub trait AttentionModel {
    /// The cross-attention probabilities of every layer at the guided resolution.
    ///
    /// The latents may be tracked by autodiff, and their number may differ from call to call:
    /// refinement goes on with the images that need it.
    ///
    /// # Shapes
    /// - latents: `[batch, channels, height, width]`
    /// - output: one or more of `[batch, heads, rows * cols, tokens]`
    fn cross_attention(&self, latents: Tensor<4>) -> Vec<Tensor<4>>;
}

impl<F: Fn(Tensor<4>) -> Vec<Tensor<4>>> AttentionModel for F {
    fn cross_attention(&self, latents: Tensor<4>) -> Vec<Tensor<4>> {
        self(latents)
    }
}
