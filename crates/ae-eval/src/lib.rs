//! The evaluation of text-to-image methods: prompts, a folder of pictures, scores, statistics and a report.
//!
//! A [`Plan`] says which [`Arm`]s (methods, or one method with different settings) draw which [`Prompt`]s with which seeds.
//! [`Scores`] hold what a scorer says of every picture of an arm.

mod plan;
mod prompt;
mod scores;

pub use plan::{Arm, Plan};
pub use prompt::{Prompt, Thing};
pub use scores::{Metric, MetricKind, PictureScore, Scorer, Scores};
