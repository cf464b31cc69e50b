use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Report, ReportError};
use crate::{Arm, Metric, MetricKind, Prompt};

/// Pictures that show where an arm differs most from the first.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmExamples {
    /// The name of the arm.
    pub arm: String,
    /// What they are chosen by.
    pub metric: Metric,
    /// Where the arm exceeds the first one most: for a share where it holds in this arm alone.
    pub best: Vec<Example>,
    /// Where it falls behind most: for a share where it holds in the first arm alone.
    pub worst: Vec<Example>,
}

/// The pictures of two arms for a prompt and a seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The prompt.
    pub prompt: Prompt,
    /// The seed.
    pub seed: u64,
    /// The value of the metric in this arm less that in the first.
    pub difference: f64,
    /// What scorers say of the first arm's picture.
    pub first: PictureFigures,
    /// And of this arm's.
    pub this: PictureFigures,
}

/// What scorers say of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureFigures {
    /// Its values by the keys of the metrics.
    pub values: BTreeMap<String, f64>,
    /// What scorers say in words, by their names.
    pub details: BTreeMap<String, Value>,
}

/// A pair of pictures on the way to being an example.
struct Candidate {
    prompt: usize,
    seed: usize,
    difference: f64,
    /// The mean difference of the similarities, which decides among equals.
    tie: f64,
}

impl Report {
    /// For every arm but the first the pairs that differ most by a metric, `count` on either side at most and of a prompt one.
    ///
    /// The metric is the one of the key, or else the first share, or else the first one. Among equals the mean difference of the
    /// similarities decides, then the order of the plan. Where nothing is scored there are no arms.
    ///
    /// # Errors
    ///
    /// When there is no metric of the key.
    pub fn examples(&self, metric: Option<&str>, count: usize) -> Result<Vec<ArmExamples>, ReportError> {
        let metrics = || self.figures.iter().map(|figures| &figures.metric);
        let place = match metric {
            Some(key) => Some(metrics().position(|metric| metric.key == key).ok_or_else(|| {
                let keys: Vec<_> = metrics().map(|metric| metric.key.as_str()).collect();
                ReportError::UnknownMetric { metric: key.to_owned(), expected: keys.join(", ") }
            })?),
            None => metrics()
                .position(|metric| metric.kind == MetricKind::Share)
                .or((!self.figures.is_empty()).then_some(0)),
        };
        let Some(place) = place else { return Ok(Vec::new()) };
        let arms = self.plan.arms.iter().enumerate().skip(1).map(|(arm, Arm { name, .. })| {
            let mut candidates = self.candidates(arm, place);
            candidates
                .sort_by(|one, other| other.difference.total_cmp(&one.difference).then(other.tie.total_cmp(&one.tie)));
            let best = candidates.iter().filter(|candidate| candidate.difference > 0.0);
            let best = self.chosen(arm, best, count);
            // Stable: equals stay in the order of the plan.
            candidates
                .sort_by(|one, other| one.difference.total_cmp(&other.difference).then(one.tie.total_cmp(&other.tie)));
            let worst = candidates.iter().filter(|candidate| candidate.difference < 0.0);
            let worst = self.chosen(arm, worst, count);
            ArmExamples { arm: name.clone(), metric: self.figures[place].metric.clone(), best, worst }
        });
        Ok(arms.collect())
    }

    /// The pairs that the metric has, in the order of the plan.
    fn candidates(&self, arm: usize, metric: usize) -> Vec<Candidate> {
        let difference = |metric, prompt, seed| {
            Some(self.values.get(metric, arm, prompt, seed)? - self.values.get(metric, 0, prompt, seed)?)
        };
        let similarities =
            self.figures.iter().enumerate().filter(|(_, figures)| figures.metric.kind == MetricKind::Similarity);
        let similarities: Vec<_> = similarities.map(|(place, _)| place).collect();
        let pictures =
            (0..self.plan.prompts.len()).flat_map(|prompt| (0..self.plan.seeds.len()).map(move |seed| (prompt, seed)));
        let candidates = pictures.filter_map(|(prompt, seed)| {
            let ties: Vec<_> = similarities.iter().filter_map(|metric| difference(*metric, prompt, seed)).collect();
            let tie = if ties.is_empty() { 0.0 } else { ties.iter().sum::<f64>() / ties.len() as f64 };
            Some(Candidate { prompt, seed, difference: difference(metric, prompt, seed)?, tie })
        });
        candidates.collect()
    }

    /// The first ones, of a prompt one.
    fn chosen<'a>(&self, arm: usize, candidates: impl Iterator<Item = &'a Candidate>, count: usize) -> Vec<Example> {
        let mut prompts = BTreeSet::new();
        let candidates = candidates.filter(|candidate| prompts.insert(candidate.prompt)).take(count);
        let examples = candidates.map(|&Candidate { prompt, seed, difference, .. }| Example {
            prompt: self.plan.prompts[prompt].clone(),
            seed: self.plan.seeds[seed],
            difference,
            first: self.picture_figures(0, prompt, seed),
            this: self.picture_figures(arm, prompt, seed),
        });
        examples.collect()
    }

    fn picture_figures(&self, arm: usize, prompt: usize, seed: usize) -> PictureFigures {
        let values = self.figures.iter().enumerate().filter_map(|(metric, figures)| {
            Some((figures.metric.key.clone(), self.values.get(metric, arm, prompt, seed)?))
        });
        PictureFigures { values: values.collect(), details: self.values.details(arm, prompt, seed) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{report, scores};
    use super::*;

    fn places(examples: &[Example]) -> Vec<(&str, u64)> {
        examples.iter().map(|example| (&example.prompt.text[..6], example.seed)).collect()
    }

    #[test]
    fn what_was_gained_and_lost_is_shown_once_for_a_prompt() {
        let examples = report(&scores()).examples(None, 3).unwrap();
        assert_eq!(examples.len(), 2);
        let guided = &examples[0];
        assert_eq!((guided.arm.as_str(), guided.metric.key.as_str()), ("attend-and-excite", "both_subjects"));
        // The similarity gains 0.1 at the places 5 and 8, and 0.05 at 1.
        assert_eq!(places(&guided.best), [("a bear", 8), ("a pink", 7), ("a cat ", 8)]);
        assert_eq!(places(&guided.worst), [("a red ", 8)]);
        let best = &guided.best[0];
        assert_eq!((best.first.values["both_subjects"], best.this.values["both_subjects"]), (0.0, 1.0));
        assert_eq!(best.this.details["detector"]["found"], 2);
        assert_eq!(places(&examples[1].best), [("a cat ", 7)]);
        assert!(examples[1].worst.is_empty());
    }

    #[test]
    fn the_metric_can_be_chosen() {
        let report = report(&scores());
        let examples = report.examples(Some("text_text"), 10).unwrap();
        assert_eq!(places(&examples[0].best)[..2], [("a <scr", 7), ("a bear", 8)]);
        assert!(examples[0].best.iter().all(|example| example.difference > 0.0) && examples[0].worst.is_empty());
        let error = report.examples(Some("clip"), 1).unwrap_err().to_string();
        assert_eq!(
            error,
            "there are no scores of the metric 'clip', expected one of: both_subjects, colours, text_text"
        );
        assert!(super::super::testing::report(&[]).examples(None, 5).unwrap().is_empty());
    }
}
