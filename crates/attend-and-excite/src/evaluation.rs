//! The parts of an evaluation that need a model.

mod arms;
mod prompts;
#[cfg(feature = "figures")]
mod report;
mod scorers;
mod work;

pub use arms::{Ablation, ArmSettings};
pub use prompts::{distinct, evenly, prompts};
#[cfg(feature = "figures")]
pub use report::{pictures_beside, recorded_scores, way_between};
pub use scorers::{CaptionSimilarity, ClipSimilarity, DetectorScorer, name_of};
pub use work::{Evaluation, Unit};
