#![doc = include_str!("../README.md")]
//!
//! # Where to begin
//!
//! The crate knows no U-Net. It works on anything that turns latents into attention
//! probabilities ([`AttentionModel`], implemented for closures). Weights stay where they are: only the
//! latents become a leaf of the gradient.
//!
//! The stages stand alone too: [`aggregate_attention`] (paper section 3, A_t), [`AttendAndExcite::subject_maps`] and
//! [`AttendAndExcite::score`] (softmax over tokens, Gaussian smoothing, the loss of equation 1) and [`Guidance::guide`]
//! (latent update of equation 2 and iterative refinement, algorithm 1).

mod attend_and_excite;
mod batch;
mod error;
mod guidance;
mod log;
mod maps;
mod model;
mod noise;
mod objective;
mod objectives;
mod plan;
mod reading;
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
pub use noise::{NoiseSearch, NoiseStage, NoiseTrace};
pub use objective::{DenoisingStep, Objective, Pass, Score};
pub use objectives::{
    BoxDiff, BoxDiffSettings, Conform, Distance, DivideAndBind, DivideAndBindSettings, LinguisticBinding, Negatives,
    NounPhrase, Overlap, Pairs, Pieces, PredicatedDiffusion, RegionSettings, RegionWeights, SelfCross,
};
pub use plan::{Plan, Refinement, StepSize};
pub use reading::Reading;
pub use settings::GuidanceSettings;
pub use smoothing::GaussianSmoothing;
pub use state::State;
pub use subjects::Subjects;
pub use trace::{Evaluation, GuidanceTrace, Losses, Term};
