use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::ArmScores;
use crate::{Plan, PromptValues, Scorer};

/// The scores of all pictures, by their places in the plan and among the metrics of all scorers.
#[derive(Clone, Debug)]
pub(super) struct Values {
    arms: usize,
    prompts: usize,
    seeds: usize,
    /// Metric by metric, in each arm by arm, prompt by prompt, seed by seed.
    numbers: Vec<Option<f64>>,
    /// Whether any scorer has seen a picture: arm by arm, prompt by prompt, seed by seed.
    scored: Vec<bool>,
    /// What scorers say in words of the pictures, by their names.
    details: HashMap<usize, BTreeMap<String, Value>>,
    unplanned: usize,
}

impl Values {
    /// Of scores that fit the plan.
    pub(super) fn new(plan: &Plan, scorers: &[Scorer], scores: &[ArmScores]) -> Self {
        let arms: HashMap<_, _> = plan.arms.iter().enumerate().map(|(place, arm)| (&arm.name, place)).collect();
        let prompts: HashMap<_, _> =
            plan.prompts.iter().enumerate().map(|(place, prompt)| (&prompt.text, place)).collect();
        let seeds: HashMap<_, _> = plan.seeds.iter().enumerate().map(|(place, seed)| (seed, place)).collect();
        let metrics = scorers.iter().flat_map(|scorer| &scorer.metrics).enumerate();
        let metrics: HashMap<_, _> = metrics.map(|(place, metric)| (&metric.key, place)).collect();
        let pictures = arms.len() * prompts.len() * seeds.len();
        let mut all = Self {
            arms: arms.len(),
            prompts: prompts.len(),
            seeds: seeds.len(),
            numbers: vec![None; metrics.len() * pictures],
            scored: vec![false; pictures],
            details: HashMap::new(),
            unplanned: 0,
        };
        for ArmScores { arm, scores } in scores {
            for scores in scores {
                for score in &scores.pictures {
                    let (Some(prompt), Some(seed)) = (prompts.get(&score.prompt), seeds.get(&score.seed)) else {
                        all.unplanned += 1;
                        continue;
                    };
                    let picture = all.picture(arms[arm], *prompt, *seed);
                    all.scored[picture] = true;
                    for (key, value) in &score.values {
                        all.numbers[metrics[key] * pictures + picture] = Some(*value);
                    }
                    if !score.detail.is_null() {
                        let details = all.details.entry(picture).or_default();
                        details.insert(scores.scorer.name.clone(), score.detail.clone());
                    }
                }
            }
        }
        all
    }

    fn picture(&self, arm: usize, prompt: usize, seed: usize) -> usize {
        (arm * self.prompts + prompt) * self.seeds + seed
    }

    /// Those of a metric for the seeds of a prompt.
    pub(super) fn of_prompt(&self, metric: usize, arm: usize, prompt: usize) -> PromptValues<'_> {
        let first = self.picture(metric * self.arms + arm, prompt, 0);
        &self.numbers[first..first + self.seeds]
    }

    /// That of a metric for a picture.
    pub(super) fn get(&self, metric: usize, arm: usize, prompt: usize, seed: usize) -> Option<f64> {
        self.numbers[self.picture(metric * self.arms + arm, prompt, seed)]
    }

    /// What scorers say in words of a picture.
    pub(super) fn details(&self, arm: usize, prompt: usize, seed: usize) -> BTreeMap<String, Value> {
        self.details.get(&self.picture(arm, prompt, seed)).cloned().unwrap_or_default()
    }

    pub(super) fn is_scored(&self, arm: usize, prompt: usize, seed: usize) -> bool {
        self.scored[self.picture(arm, prompt, seed)]
    }

    /// How many pictures of an arm any scorer has seen.
    pub(super) fn scored(&self, arm: usize) -> usize {
        let pictures = self.prompts * self.seeds;
        self.scored[arm * pictures..(arm + 1) * pictures].iter().filter(|scored| **scored).count()
    }

    pub(super) fn unplanned(&self) -> usize {
        self.unplanned
    }
}
