use serde::Serialize;

use super::values::Values;
use crate::statistics::unpaired;
use crate::{Arm, Comparison, Estimate, Metric, Plan, Scorer, Statistics, published};

/// The figures of a metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricFigures {
    /// The name of the scorer.
    pub scorer: String,
    /// The metric.
    pub metric: Metric,
    /// Set by set in the order of the plan, then all sets together where there are several.
    pub groups: Vec<GroupFigures>,
}

/// The figures of a metric in a set of prompts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupFigures {
    /// The set; none is all of them together.
    pub set: Option<String>,
    /// Arm by arm in the order of the plan.
    pub arms: Vec<ArmFigures>,
}

/// The figures of an arm in a metric and a set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmFigures {
    /// Its name.
    pub arm: String,
    /// Its mean; none without a picture.
    pub estimate: Option<Estimate>,
    /// Against the first arm; none for the first, and where no picture has a value in both.
    pub comparison: Option<Comparison>,
    /// How many pictures have a value in this arm or the first one alone, and are not compared.
    pub left_out: usize,
    /// What the paper [reports](published), of another model.
    pub published: Option<f64>,
}

pub(super) fn of(plan: &Plan, scorers: &[Scorer], values: &Values) -> Vec<MetricFigures> {
    let mut sets: Vec<Option<&str>> = Vec::new();
    for prompt in &plan.prompts {
        if !sets.contains(&Some(&prompt.set)) {
            sets.push(Some(&prompt.set));
        }
    }
    if sets.len() > 1 {
        sets.push(None);
    }
    let mut statistics = Statistics::default();
    let metrics = scorers.iter().flat_map(|scorer| scorer.metrics.iter().map(move |metric| (scorer, metric)));
    let figures = metrics.enumerate().map(|(place, (scorer, metric))| {
        let groups = sets.iter().map(|set| {
            let is_in_set = |prompt: &usize| set.is_none_or(|set| plan.prompts[*prompt].set == set);
            let prompts: Vec<_> = (0..plan.prompts.len()).filter(is_in_set).collect();
            let arms = plan.arms.iter().enumerate().map(|(arm, Arm { name, .. })| {
                let of = |arm| prompts.iter().map(move |prompt| values.of_prompt(place, arm, *prompt));
                ArmFigures {
                    arm: name.clone(),
                    estimate: statistics.estimate(metric.kind, of(arm)),
                    comparison: if arm == 0 { None } else { statistics.compare(metric.kind, of(0).zip(of(arm))) },
                    left_out: unpaired(of(0).zip(of(arm))),
                    published: set.and_then(|set| published(&metric.key, set, name)),
                }
            });
            GroupFigures { set: set.map(str::to_owned), arms: arms.collect() }
        });
        MetricFigures { scorer: scorer.name.clone(), metric: metric.clone(), groups: groups.collect() }
    });
    figures.collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{report, scores};
    use super::*;

    fn group(metric: &str, set: Option<&str>) -> GroupFigures {
        let report = report(&scores());
        let figures = report.figures().iter().find(|figures| figures.metric.key == metric).unwrap();
        figures.groups.iter().find(|group| group.set.as_deref() == set).unwrap().clone()
    }

    fn mean(figures: &ArmFigures) -> f64 {
        figures.estimate.unwrap().mean
    }

    /// The fixed values of the test module, by hand.
    #[test]
    fn sets_are_told_apart() {
        let animals = group("both_subjects", Some("animals"));
        assert!(
            (mean(&animals.arms[0]) - 1.0 / 6.0).abs() < 1e-15 && (mean(&animals.arms[1]) - 5.0 / 6.0).abs() < 1e-15
        );
        let all = group("both_subjects", None);
        let estimate = all.arms[0].estimate.unwrap();
        assert_eq!((estimate.pictures, estimate.prompts), (12, 6));
        assert!(all.arms[0].comparison.is_none());
        let changes = all.arms[1].comparison.unwrap().changes.unwrap();
        assert_eq!((changes.gained, changes.lost), (7, 1));
    }

    #[test]
    fn an_arm_without_scores_has_no_figures() {
        let all = group("text_text", None);
        assert_eq!((all.arms[2].estimate, all.arms[2].comparison, all.arms[2].left_out), (None, None, 12));
        assert_eq!((all.arms[1].comparison.unwrap().pairs, all.arms[1].left_out), (11, 1));
        assert_eq!(group("text_text", Some("animals")).arms[1].published, Some(0.806));
        assert_eq!(all.arms[1].published, None);
    }
}
