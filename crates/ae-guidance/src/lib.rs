//! Guidance of diffusion models by their own attention: while sampling, the latents are shifted down the gradient of an
//! [`Objective`] over attention maps. [`AttendAndExcite`] (Chefer et al., SIGGRAPH 2023), by which every subject of the prompt
//! gets the attention of some image patch, is one; others are written outside of this crate.
//!
//! The crate knows no U-Net. It works on anything that turns latents into attention
//! probabilities ([`AttentionModel`], implemented for closures). Weights stay where they are: only the
//! latents become a leaf of the gradient.
//!
//! The stages stand alone too: [`aggregate_attention`] (paper section 3, A_t), [`AttendAndExcite::subject_maps`] and
//! [`AttendAndExcite::score`] (softmax over tokens, Gaussian smoothing, the loss of equation 1) and [`Guidance::guide`]
//! (latent update of equation 2 and iterative refinement, algorithm 1).
//!
//! ```
//! # use std::{ops::ControlFlow, sync::Arc};
//! # use ae_guidance::{AttendAndExcite, DenoisingStep, Evaluation, Guidance, GuidanceSettings, MapSet, Subjects};
//! # use burn::tensor::{Device, Tensor, activation::softmax};
//! # let device = Device::flex();
//! // A toy model: 8x8 patches of two channels listen to five tokens.
//! let keys = Tensor::<3>::from_data([[[0.1, 0.9, -0.2, 0.3, 0.0], [0.5, 0.2, 0.7, -0.4, 0.1_f32]]], &device);
//! let model = |latents: Tensor<4>, _: &[MapSet]| {
//!     let patches = latents.reshape([1, 2, 64]).swap_dims(1, 2);
//!     vec![vec![softmax(patches.matmul(keys.clone()), 2).reshape([1, 1, 64, 5])]]
//! };
//! let subjects = Subjects::new(vec![vec![1], vec![3]], 5, None)?;
//! let objective = AttendAndExcite::new(GuidanceSettings::default(), subjects, [8, 8])?;
//! let mut guidance = Guidance::new(Arc::new(objective))?;
//!
//! let latents = Tensor::ones([1, 2, 8, 8], &device);
//! let mut watch = |_: Evaluation<'_>| ControlFlow::Continue(());
//! let guided = guidance.guide(&model, latents, DenoisingStep::new(0, 50, 981.0), &mut watch)?;
//! let shifted = guided.latents();
//! // Only this waits for the device.
//! let traces = guided.read_traces(&mut watch)?;
//! assert!(traces[0].first().loss > 0.0);
//! # Ok::<(), ae_guidance::GuidanceError>(())
//! ```

mod attend_and_excite;
mod batch;
mod error;
mod guidance;
mod log;
mod maps;
mod model;
mod objective;
mod plan;
mod settings;
mod shift;
mod smoothing;
mod state;
mod subjects;
mod trace;

pub use attend_and_excite::AttendAndExcite;
pub use error::GuidanceError;
pub use guidance::{Guidance, Guided, Observer};
pub use maps::{Layers, MapKind, MapSet, aggregate_attention};
pub use model::AttentionModel;
pub use objective::{DenoisingStep, Objective, Pass, Score};
pub use plan::{Plan, Refinement, StepSize};
pub use settings::GuidanceSettings;
pub use smoothing::GaussianSmoothing;
pub use state::State;
pub use subjects::Subjects;
pub use trace::{Evaluation, GuidanceTrace, Losses, Term};

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
