use std::collections::BTreeSet;

use super::ArmScores;
use crate::{Plan, Scorer, ScoresError};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// Scores that cannot be.
    #[error("scores of the arm '{arm}': {error}")]
    Scores {
        /// The name of the arm.
        arm: String,
        /// What is wrong with them.
        error: ScoresError,
    },
    /// Scores of an arm that the plan does not have, or that come twice.
    #[error("there are scores of the arm '{arm}', expected one of each of: {expected}")]
    Arm {
        /// The name of the arm.
        arm: String,
        /// Those of the plan.
        expected: String,
    },
    /// Two arms were scored by scorers of one name that are not the same.
    #[error(
        "the scorer '{scorer}' describes itself otherwise for the arm '{arm}' than for those before it: delete its scores to \
         score all arms alike"
    )]
    Scorer {
        /// The name of the scorer.
        scorer: String,
        /// The name of the arm.
        arm: String,
    },
    /// A scorer that has seen an arm twice.
    #[error("the arm '{arm}' has two sets of scores by '{scorer}': one must go")]
    RepeatedScorer {
        /// The name of the scorer.
        scorer: String,
        /// The name of the arm.
        arm: String,
    },
    /// Two scorers with one metric.
    #[error("the metric {metric} is one of '{one}' and one of '{other}': each needs a key of its own")]
    Metric {
        /// The key of the metric.
        metric: String,
        /// The name of a scorer.
        one: String,
        /// That of the other.
        other: String,
    },
    /// A plan in which something stands twice.
    #[error("the plan has the {what} twice: a picture must be told by its arm, prompt and seed")]
    RepeatedInPlan {
        /// Which arm, prompt or seed.
        what: String,
    },
    /// Examples by a metric that nobody measured.
    #[error("there are no scores of the metric '{metric}', expected one of: {expected}")]
    UnknownMetric {
        /// The key that was asked for.
        metric: String,
        /// Those that there are.
        expected: String,
    },
}

/// The scorers of an evaluation, each once, if its parts fit together.
pub(super) fn checked(plan: &Plan, scores: &[ArmScores]) -> Result<Vec<Scorer>, ReportError> {
    let repeated = |what: String| Err(ReportError::RepeatedInPlan { what });
    let mut arms = BTreeSet::new();
    if let Some(arm) = plan.arms.iter().find(|arm| !arms.insert(arm.name.as_str())) {
        return repeated(format!("arm '{}'", arm.name));
    }
    let mut prompts = BTreeSet::new();
    if let Some(prompt) = plan.prompts.iter().find(|prompt| !prompts.insert(&prompt.text)) {
        return repeated(format!("prompt “{}”", prompt.text));
    }
    let mut seeds = BTreeSet::new();
    if let Some(seed) = plan.seeds.iter().find(|seed| !seeds.insert(**seed)) {
        return repeated(format!("seed {seed}"));
    }

    let mut scorers: Vec<Scorer> = Vec::new();
    for ArmScores { arm, scores } in scores {
        if !arms.remove(arm.as_str()) {
            let names: Vec<_> = plan.arms.iter().map(|arm| arm.name.as_str()).collect();
            return Err(ReportError::Arm { arm: arm.clone(), expected: names.join(", ") });
        }
        let mut seen = BTreeSet::new();
        for scores in scores {
            scores.check().map_err(|error| ReportError::Scores { arm: arm.clone(), error })?;
            let (scorer, name) = (&scores.scorer, &scores.scorer.name);
            if !seen.insert(name) {
                return Err(ReportError::RepeatedScorer { scorer: name.clone(), arm: arm.clone() });
            }
            match scorers.iter().find(|known| known.name == *name) {
                None => scorers.push(scorer.clone()),
                Some(known) if known == scorer => {}
                Some(_) => return Err(ReportError::Scorer { scorer: name.clone(), arm: arm.clone() }),
            }
        }
    }
    for (place, one) in scorers.iter().enumerate() {
        for metric in &one.metrics {
            let has_it = |other: &&Scorer| other.metrics.iter().any(|known| known.key == metric.key);
            if let Some(other) = scorers[place + 1..].iter().find(has_it) {
                let (one, other) = (one.name.clone(), other.name.clone());
                return Err(ReportError::Metric { metric: metric.key.clone(), one, other });
            }
        }
    }
    Ok(scorers)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{plan, scores};
    use super::*;

    fn message(change: impl FnOnce(&mut Plan, &mut Vec<ArmScores>)) -> String {
        let (mut plan, mut scores) = (plan(), scores());
        checked(&plan, &scores).unwrap();
        change(&mut plan, &mut scores);
        checked(&plan, &scores).unwrap_err().to_string()
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let strange = message(|_, scores| scores[1].arm = "plms".to_owned());
        assert!(
            strange.contains("'plms', expected one of each of: stable-diffusion, attend-and-excite, "),
            "{strange}"
        );
        let twice = message(|_, scores| scores[1].arm = scores[0].arm.clone());
        assert!(twice.contains("scores of the arm 'stable-diffusion', expected one of each"), "{twice}");
        let other = message(|_, scores| scores[1].scores[0].scorer.about = "another".to_owned());
        assert!(
            other.contains("the scorer 'detector' describes itself otherwise for the arm 'attend-and-excite'"),
            "{other}"
        );
        let twice = message(|_, scores| {
            let again = scores[0].scores[0].clone();
            scores[0].scores.push(again);
        });
        assert!(twice.contains("the arm 'stable-diffusion' has two sets of scores by 'detector'"), "{twice}");
        let metric = message(|_, scores| {
            for scores in
                scores.iter_mut().flat_map(|arm| &mut arm.scores).filter(|scores| scores.scorer.name == "blip")
            {
                scores.scorer.metrics[0].key = "both_subjects".to_owned();
                scores.pictures.clear();
            }
        });
        assert!(metric.contains("both_subjects is one of 'detector' and one of 'blip'"), "{metric}");
        let value = message(|_, scores| {
            scores[0].scores[0].pictures[0].values.insert("both_subjects".to_owned(), f64::NAN);
        });
        assert!(value.starts_with("scores of the arm 'stable-diffusion': both_subjects is NaN for"), "{value}");
    }

    #[test]
    fn a_plan_has_everything_once() {
        assert!(
            message(|plan, _| plan.arms[2].name = plan.arms[0].name.clone())
                .contains("the arm 'stable-diffusion' twice")
        );
        assert!(
            message(|plan, _| plan.prompts[2].text = plan.prompts[0].text.clone()).contains("“a cat and a dog” twice")
        );
        assert!(message(|plan, _| plan.seeds.push(7)).contains("the seed 7 twice"));
    }
}
