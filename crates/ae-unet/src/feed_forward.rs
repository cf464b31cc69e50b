use ae_tensor::nn::{geglu, linear};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

/// Width of the hidden layer by width of the input.
const EXPANSION: usize = 4;

/// The gated feed-forward layer (diffusers' `models/attention.py`, `FeedForward` with `geglu`).
#[derive(Module, Debug)]
pub(crate) struct FeedForward {
    /// Activation, the place of a dropout, output projection: diffusers' `net.0`, `net.1`, `net.2`.
    net: (Geglu, Nothing, Linear),
}

#[derive(Module, Debug)]
struct Geglu {
    proj: Linear,
}

/// Holds the place of a module without parameters.
#[derive(Module, Debug)]
struct Nothing {}

impl FeedForward {
    pub(crate) fn new(channels: usize, device: &Device) -> Self {
        let hidden = channels * EXPANSION;
        let proj = LinearConfig::new(channels, hidden * 2).init(device);
        Self { net: (Geglu { proj }, Nothing {}, LinearConfig::new(hidden, channels).init(device)) }
    }

    /// The hidden layer.
    ///
    /// # Shapes
    /// - normed: `[batch, patches, channels]`
    /// - output: `[batch, patches, 4 * channels]`
    pub(crate) fn hidden(&self, normed: Tensor<3>) -> Tensor<3> {
        geglu(linear(&self.net.0.proj, normed, None))
    }

    /// Its projection, plus a residual.
    ///
    /// # Shapes
    /// - hidden: `[batch, patches, 4 * channels]`
    /// - residual and output: `[batch, patches, channels]`
    pub(crate) fn output(&self, hidden: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        linear(&self.net.2, hidden, Some(residual))
    }
}
