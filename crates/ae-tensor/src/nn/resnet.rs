use burn::module::Module;
use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::conv::Conv2d;
use super::linear::linear;
use super::shared::shared;

/// The sizes of a [`ResnetBlock2D`].
#[derive(Clone, Copy, Debug)]
pub struct ResnetBlock2DConfig {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Width of the time embedding; `None` in the VAE, which knows no time.
    pub temb_channels: Option<usize>,
    /// Groups of the normalisations.
    pub groups: usize,
    /// Epsilon of the normalisations.
    pub eps: f64,
}

impl ResnetBlock2DConfig {
    /// Initialises the block.
    pub fn init(&self, device: &Device) -> ResnetBlock2D {
        let Self { in_channels, out_channels, temb_channels, groups, eps } = *self;
        let norm = |channels| GroupNormConfig::new(groups, channels).with_epsilon(eps).init(device);
        ResnetBlock2D {
            norm1: norm(in_channels),
            conv1: Conv2d::new_3x3(in_channels, out_channels, device),
            time_emb_proj: temb_channels.map(|channels| LinearConfig::new(channels, out_channels).init(device)),
            norm2: norm(out_channels),
            conv2: Conv2d::new_3x3(out_channels, out_channels, device),
            conv_shortcut: (in_channels != out_channels).then(|| Conv2d::new_1x1(in_channels, out_channels, device)),
        }
    }
}

/// The residual block of the U-Net and of the VAE (diffusers' `models/resnet.py`, `ResnetBlock2D` with
/// `time_embedding_norm="default"` and an output scale of 1).
#[derive(Module, Debug)]
pub struct ResnetBlock2D {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
}

impl ResnetBlock2D {
    /// `temb` is the time embedding after its activation: SiLU is applied once per pass by the caller,
    /// where diffusers applies it in every block.
    ///
    /// # Shapes
    /// - hidden_states: `[batch, rows, columns, in_channels]`
    /// - temb: `[1, temb_channels]`
    /// - output: `[batch, rows, columns, out_channels]`
    pub fn forward(&self, hidden_states: Tensor<4>, temb: Option<&Tensor<2>>) -> Tensor<4> {
        let [residual, hidden_states] = shared(hidden_states);
        let shift = match (&self.time_emb_proj, temb) {
            (Some(projection), Some(temb)) => Some(linear(projection, temb.clone(), None).squeeze_dim(0)),
            _ => None,
        };
        let hidden = self.conv1.forward_normed(&self.norm1, hidden_states, shift, None);
        // Now that nobody else needs the input, its memory can hold the shortcut, and this the output.
        let residual = match &self.conv_shortcut {
            Some(shortcut) => shortcut.forward(residual),
            None => residual,
        };
        self.conv2.forward_normed(&self.norm2, hidden, None, Some(residual))
    }
}
