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

use crate::cost::{ArmCosts, MeanCost};
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
    costs: Vec<MeanCost>,
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
        Ok(Self { plan: plan.clone(), scorers, values, figures, costs: Vec::new() })
    }

    /// With what the pictures cost.
    #[must_use]
    pub fn with_costs(self, costs: &[ArmCosts]) -> Self {
        Self { costs: costs.iter().filter_map(ArmCosts::mean).collect(), ..self }
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

#[cfg(test)]
mod tests {
    use super::testing::{plan, scores};
    use super::*;

    /// Everything that a report can become.
    fn all(report: &Report) -> String {
        let examples = report.examples(None, 4).unwrap();
        let drawn: Vec<_> = report.charts().into_iter().map(|chart| chart.chart.svg()).collect();
        let texts = [report.markdown(), report.csv(), report.json(), report.html(&examples, |_, _, _| None)];
        texts.concat() + &drawn.concat()
    }

    /// Every arm without every scorer, and without the values of every metric.
    #[test]
    fn whatever_is_missing_there_is_a_report() {
        let whole = Report::new(&plan(), &scores()).unwrap();
        for arm in 0..3 {
            for scorer in 0..scores()[arm].scores.len() {
                let mut fewer = scores();
                let without = fewer[arm].scores.remove(scorer).scorer;
                let report = Report::new(&plan(), &fewer).unwrap();
                all(&report);
                for metric in without.metrics {
                    let mut fewer = scores();
                    for picture in &mut fewer[arm].scores[scorer].pictures {
                        picture.values.remove(&metric.key);
                    }
                    let report = Report::new(&plan(), &fewer).unwrap();
                    let figures = report.figures().iter().find(|figures| figures.metric == metric).unwrap();
                    for (place, group) in figures.groups.iter().enumerate() {
                        assert_eq!(group.arms[arm].estimate, None);
                        assert!(group.arms.iter().all(|other| arm != 0 || other.comparison.is_none()));
                        // The other arms' means are what they were.
                        let before = whole.figures().iter().find(|figures| figures.metric == metric).unwrap();
                        for other in (0..3).filter(|other| *other != arm) {
                            assert_eq!(group.arms[other].estimate, before.groups[place].arms[other].estimate);
                        }
                    }
                    assert!(!all(&report).contains("NaN"));
                }
            }
        }
    }

    #[test]
    fn a_plan_of_little_has_a_report() {
        let nothing = Plan {
            model: String::new(),
            arms: Vec::new(),
            prompts: Vec::new(),
            seeds: Vec::new(),
            files: std::collections::BTreeMap::default(),
        };
        all(&Report::new(&nothing, &[]).unwrap());
        let mut plan = plan();
        plan.arms.truncate(1);
        plan.prompts.truncate(1);
        plan.seeds.truncate(1);
        let report = Report::new(&plan, &scores()[..1]).unwrap();
        // Of the detector 11 of 12, as of BLIP.
        assert_eq!((report.scored("stable-diffusion"), report.scored("plms"), report.unplanned()), (1, 0, 22));
        let text = all(&report);
        assert!(text.contains("22 scores of pictures that the plan does not have were left out."));
        assert!(!text.contains("Difference from") && !text.contains("All sets"));
    }

    #[test]
    fn the_same_scores_have_the_same_report() {
        let report = || all(&Report::new(&plan(), &scores()).unwrap());
        assert_eq!(report(), report());
    }
}
