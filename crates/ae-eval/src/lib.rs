//! The evaluation of text-to-image methods: prompts, a folder of pictures, scores, statistics and a report.
//!
//! A [`Plan`] says which [`Arm`]s (methods, or one method with different settings) draw which [`Prompt`]s with which seeds.
//! [`Scores`] hold what a scorer says of every picture of an arm. A [`Report`] has the figures of all of them: means with
//! intervals, comparisons with the first arm, tables, charts and a page.

mod plan;
mod prompt;
mod published;
mod report;
mod scores;
mod statistics;

pub use plan::{Arm, Plan};
pub use prompt::{Prompt, Thing};
pub use published::{SOURCE as PUBLISHED_SOURCE, published, published_claim};
pub use report::{
    ArmExamples, ArmFigures, ArmScores, Example, GroupFigures, MetricChart, MetricFigures, PictureFigures, Report,
    ReportError, ReportPicture,
};
pub use scores::{Metric, MetricKind, PictureScore, Scorer, Scores, ScoresError};
pub use statistics::{
    Changes, Comparison, Estimate, FLIPS, Interval, LEVEL, PromptValues, RESAMPLES, SEED, Statistics, mcnemar_p,
    sign_flip_p,
};

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
