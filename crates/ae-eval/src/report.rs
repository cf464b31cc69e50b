//! The figures of an evaluation, and the files that show them. Nothing is written here: texts and drawings are returned.

mod charts;
mod csv;
mod error;
mod examples;
mod figures;
mod html;
mod json;
mod markdown;
mod sections;
#[cfg(test)]
mod testing;
mod values;
mod words;

use crate::{Plan, Scorer, Scores};
pub use charts::MetricChart;
pub use error::ReportError;
pub use examples::{ArmExamples, Example, PictureFigures};
pub use figures::{ArmFigures, GroupFigures, MetricFigures};
pub use html::ReportPicture;
use values::Values;

/// What all scorers say of the pictures of one arm.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmScores {
    /// The name of the arm.
    pub arm: String,
    /// Of every scorer that has seen its pictures.
    pub scores: Vec<Scores>,
}

/// An evaluation with all its figures.
///
/// Pictures that are not scored yet are left out, and tables say how many there are. [`markdown`](Self::markdown),
/// [`csv`](Self::csv), [`json`](Self::json), [`charts`](Self::charts) and [`html`](Self::html) show it.
#[derive(Clone, Debug)]
pub struct Report {
    plan: Plan,
    scorers: Vec<Scorer>,
    values: Values,
    figures: Vec<MetricFigures>,
}

impl Report {
    /// Computes the figures of all metrics, in the order in which scorers come first. Scores of pictures that the plan does not
    /// have are counted and otherwise left alone, as are scorers that have not seen every arm.
    ///
    /// # Errors
    ///
    /// When scores cannot be, are of an arm that the plan does not have, or of scorers that say different things of themselves;
    /// when a metric belongs to two scorers; and when the plan has an arm, a prompt or a seed twice.
    pub fn new(plan: &Plan, scores: &[ArmScores]) -> Result<Self, ReportError> {
        let scorers = error::checked(plan, scores)?;
        let values = Values::new(plan, &scorers, scores);
        let figures = figures::of(plan, &scorers, &values);
        Ok(Self { plan: plan.clone(), scorers, values, figures })
    }

    /// What was planned.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Every figure of the tables, metric by metric.
    pub fn figures(&self) -> &[MetricFigures] {
        &self.figures
    }

    /// How many pictures of an arm any scorer has seen; 0 of an arm that the plan does not have.
    pub fn scored(&self, arm: &str) -> usize {
        self.plan.arms.iter().position(|other| other.name == arm).map_or(0, |arm| self.values.scored(arm))
    }

    /// How many scores are of pictures that the plan does not have.
    pub fn unplanned(&self) -> usize {
        self.values.unplanned()
    }

    fn planned(&self) -> usize {
        self.plan.prompts.len() * self.plan.seeds.len()
    }
}
