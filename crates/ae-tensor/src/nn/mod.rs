//! Layers that several of the models share, with diffusers' parameter names.

mod activations;
mod attention;
mod computed;
mod conv;
#[cfg(feature = "cpu")]
mod cpu;
mod geglu;
mod group_norm;
mod heads;
mod layer_norm;
mod layout;
mod linear;
mod precision;
mod recomputed;
mod resample;
mod resnet;
mod shared;
mod smoothing;
mod softmax;

pub use activations::{gelu, quick_gelu, silu};
pub use computed::{computed, computed_dtype};
pub use conv::Conv2d;
pub use geglu::geglu;
pub use group_norm::{Activation, group_norm};
pub use heads::mean_over_heads;
pub use layer_norm::{LayerNorm, layer_norm};
pub use layout::{channels_first, channels_last, join_channels, repeated};
pub use linear::linear;
pub use precision::{attention, attention_probs, attention_values, self_attention};
pub use recomputed::{recomputed, recomputed_attention};
pub use resample::{Downsample2D, DownsamplePadding, Upsample2D};
pub use resnet::{ResnetBlock2D, ResnetBlock2DConfig};
pub use shared::shared;
pub use smoothing::smoothed;
pub use softmax::softmax;
