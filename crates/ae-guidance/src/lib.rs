//! Attend-and-Excite (Chefer et al., SIGGRAPH 2023): shifting latents while sampling so that every
//! subject of the prompt wins the attention of some image patch.
//!
//! The crate knows no U-Net. It works on anything that turns latents into cross-attention
//! probabilities ([`AttentionModel`], implemented for closures). Weights stay where they are: only the
//! latents become a leaf of the gradient.
//!
//! The stages stand alone too: [`aggregate_attention`] (paper section 3, A_t), [`Objective`]
//! (softmax over tokens, Gaussian smoothing, the loss of equation 1) and [`Guidance::guide`]
//! (latent update of equation 2 and iterative refinement, algorithm 1).
//!
//! ```
//! # use ae_guidance::{Guidance, GuidanceSettings, Subjects};
//! # use burn::tensor::{Device, Tensor, activation::softmax};
//! # let device = Device::flex();
//! // A toy model: 8x8 patches of two channels listen to five tokens.
//! let keys = Tensor::<3>::from_data([[[0.1, 0.9, -0.2, 0.3, 0.0], [0.5, 0.2, 0.7, -0.4, 0.1_f32]]], &device);
//! let model = |latents: Tensor<4>| {
//!     let patches = latents.reshape([1, 2, 64]).swap_dims(1, 2);
//!     vec![softmax(patches.matmul(keys.clone()), 2).reshape([1, 1, 64, 5])]
//! };
//! let subjects = Subjects::new(vec![vec![1], vec![3]], 5, None)?;
//! let guidance = Guidance::new(GuidanceSettings::default(), subjects, [8, 8])?;
//!
//! let latents = Tensor::ones([1, 2, 8, 8], &device);
//! let mut watch = |_: ae_guidance::Evaluation<'_>| std::ops::ControlFlow::Continue(());
//! let guided = guidance.guide(&model, latents, 0, 50, &mut watch)?;
//! let shifted = guided.latents();
//! // Only this waits for the device.
//! let traces = guided.read_traces(&mut watch)?;
//! assert!(traces[0].before.loss > 0.0);
//! # Ok::<(), ae_guidance::GuidanceError>(())
//! ```

mod error;
mod guidance;
mod maps;
mod model;
mod objective;
mod settings;
mod smoothing;
mod subjects;
mod trace;

pub use error::GuidanceError;
pub use guidance::{Guidance, Guided, Observer};
pub use maps::aggregate_attention;
pub use model::AttentionModel;
pub use objective::{Objective, Score};
pub use settings::GuidanceSettings;
pub use smoothing::GaussianSmoothing;
pub use subjects::Subjects;
pub use trace::{Evaluation, GuidanceTrace, Losses};

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
