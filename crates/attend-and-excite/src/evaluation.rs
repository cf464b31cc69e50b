//! The parts of an evaluation that need a model.

mod arms;
mod scorers;

pub use arms::{Ablation, ArmSettings};
pub use scorers::{CaptionSimilarity, ClipSimilarity, DetectorScorer, name_of};
