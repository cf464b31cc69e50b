#![doc = include_str!("../README.md")]
#![allow(
    clippy::inline_always,
    reason = "what is not inlined is compiled without vector instructions, see `vectorized`"
)]

mod activation;
mod attention;
mod channels;
mod conv;
mod enlarge;
mod filter;
mod functions;
mod group_norm;
mod heads;
mod layer_norm;
mod linear;
mod multiply;
mod panel;
mod parallel;
mod pictures;
mod pool;
mod product;
mod profile;
mod scratch;
mod smoothing;
mod softmax;
mod source;
mod sum;
#[cfg(test)]
mod testing;
mod vector;
mod weights;
mod winograd;

pub use activation::{geglu, geglu_gradient, gelu, quick_gelu, silu};
pub use attention::{Attended, Attention, AttentionGradient, AttentionInputs};
pub use channels::{join_channels, split_channels};
pub use conv::{Conv2d, PreparedWeights};
pub use enlarge::Enlargement;
pub use group_norm::{GroupNorm, Statistics};
pub use heads::HeadSum;
pub use layer_norm::{layer_norm, layer_norm_gradient};
pub use linear::{WeightOrder, linear};
pub use pictures::Pictures;
pub use pool::in_pool;
pub use profile::{Kernel, Profile, Work};
pub use smoothing::Smoothing;
pub use softmax::Softmax;
pub use source::Source;
pub use sum::add;
pub use weights::{Int8, Weights};
