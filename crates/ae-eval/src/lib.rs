#![doc = include_str!("../README.md")]
//!
//! # Where to begin
//!
//! A [`Plan`] says which [`Arm`]s (methods, or one method with different settings) draw which [`Prompt`]s with which seeds.
//! [`PromptSet`] is the benchmark of the Attend-and-Excite paper, [`read_prompts`] any other. A [`Folder`] holds the pictures, whole
//! files only, so that work can be interrupted; a [`Shard`] is one machine's part of it. [`Scores`] hold what a
//! [`PictureScorer`] says of every picture of an arm. A [`Report`] has the figures of all of them: means with intervals,
//! comparisons with the first arm, tables, charts and a page.

mod benchmark;
mod cost;
mod folder;
mod found;
mod plan;
mod prompt;
mod prompt_file;
mod published;
mod report;
mod score;
mod scores;
mod shard;
mod statistics;

pub use benchmark::{ANIMALS, COLOURS, OBJECTS, PromptSet, things_of};
pub use cost::{ArmCosts, PictureCost};
pub use folder::{Folder, FolderError};
pub use plan::{Arm, Plan, PlanError};
pub use prompt::{Prompt, Thing};
pub use prompt_file::{PromptFileError, read_prompts};
pub use published::{SOURCE as PUBLISHED_SOURCE, published, published_claim};
pub use report::{
    ArmExamples, ArmFigures, ArmScores, Example, GroupFigures, MetricChart, MetricFigures, PictureFigures, Report,
    ReportError, ReportPicture,
};
pub use score::{PictureScorer, Scored, ScorerFailure, ScoringError, Tally};
pub use scores::{Metric, MetricKind, PictureScore, Scorer, Scores, ScoresError};
pub use shard::{Shard, ShardEnvironmentError, ShardError};
pub use statistics::{
    Changes, Comparison, Estimate, FLIPS, Interval, LEVEL, PromptValues, RESAMPLES, SEED, Statistics, mcnemar_p,
    sign_flip_p,
};
