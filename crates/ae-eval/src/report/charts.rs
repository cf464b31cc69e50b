use ae_figures::{ChartScale, IntervalChart, IntervalGroup, IntervalPoint};

use super::words::arm_title;
use super::{MetricFigures, Report};
use crate::{MetricKind, PromptSet};

/// What the group of all sets is called.
pub(super) const ALL_SETS: &str = "All sets";

/// What a set is called; none is all of them.
pub(super) fn set_title(set: Option<&str>) -> &str {
    set.map_or(ALL_SETS, PromptSet::title_of)
}

/// The chart of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricChart {
    /// The key of the metric, for the name of a file.
    pub key: String,
    /// The chart, which becomes SVG or pixels.
    pub chart: IntervalChart,
}

impl Report {
    /// For every metric its mean in every set and arm, with intervals, and published numbers where there are any.
    pub fn charts(&self) -> Vec<MetricChart> {
        self.figures.iter().map(|figures| MetricChart { key: figures.metric.key.clone(), chart: of(figures) }).collect()
    }
}

pub(super) fn of(figures: &MetricFigures) -> IntervalChart {
    let groups = figures.groups.iter().map(|group| {
        let points = group.arms.iter().map(|arm| IntervalPoint {
            name: arm_title(&arm.arm).to_owned(),
            value: arm.estimate.map(|estimate| estimate.mean),
            interval: arm.estimate.and_then(|estimate| estimate.interval).map(|ends| (ends.low, ends.high)),
            mark: arm.published,
        });
        IntervalGroup { name: set_title(group.set.as_deref()).to_owned(), points: points.collect() }
    });
    IntervalChart {
        title: figures.metric.title.clone(),
        description: format!(
            "The mean of {} for every set of prompts and every method, with 95 % confidence intervals.",
            figures.metric.title
        ),
        scale: match figures.metric.kind {
            MetricKind::Share => ChartScale::Share,
            MetricKind::Similarity => ChartScale::Number,
        },
        groups: groups.collect(),
        mark: "published for Stable Diffusion 1.4".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{report, scores};

    #[test]
    fn every_metric_has_a_chart() {
        let charts = report(&scores()).charts();
        let keys: Vec<_> = charts.iter().map(|chart| chart.key.as_str()).collect();
        assert_eq!(keys, ["both_subjects", "colours", "text_text"]);
        let groups: Vec<_> = charts[2].chart.groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(groups, ["Animals", "Objects", "All sets"]);
        let points = &charts[2].chart.groups[0].points;
        assert_eq!(
            (points[1].name.as_str(), points[1].mark, points[2].value),
            ("Attend-and-Excite", Some(0.806), None)
        );
        assert!(charts[2].chart.svg().contains("Stable Diffusion 1.4"));
    }
}
