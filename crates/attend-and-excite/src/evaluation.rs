//! The parts of an evaluation that need a model.

mod arms;
mod prompts;
mod scorers;
mod work;

pub use arms::{Ablation, ArmSettings};
pub use prompts::{distinct, evenly, prompts};
pub use scorers::{CaptionSimilarity, ClipSimilarity, DetectorScorer, name_of};
pub use work::{Evaluation, Unit};
