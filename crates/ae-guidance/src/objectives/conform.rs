use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};

use super::scaled::directions;
use crate::error::check;
use crate::{GuidanceError, Losses, MapSet, Objective, Pass, Plan, Reading, Score, Subjects};

/// CONFORM (Meral et al. 2024): the maps of a group's tokens must be alike, also those of the step before, and unlike those of
/// other groups (NT-Xent over cosines).
#[derive(Clone, Debug)]
pub struct Conform {
    temperature: f64,
    plan: Plan,
    reading: Reading,
    /// Every token of every group.
    tokens: Subjects,
    /// The group of every token.
    groups: Vec<usize>,
}

/// What the maps are remembered as.
const MAPS: &str = "maps";

impl Conform {
    /// The objective for groups of token positions: a thing with its attributes, or a thing alone.
    ///
    /// In groups of one token nothing is alike before the second guided step: their plan has no use for a refinement at the first
    /// ([`begins_late`](Self::begins_late)).
    ///
    /// # Errors
    ///
    /// With fewer than two groups, when a group is empty, a token belongs to two groups or is not in the windows (see
    /// [`Subjects::in_windows`]), or the temperature is not a positive number.
    pub fn new(
        temperature: f64,
        plan: Plan,
        groups: &[Vec<usize>],
        windows: &[Range<usize>],
        reading: Reading,
    ) -> Result<Self, GuidanceError> {
        check("temperature", temperature, temperature.is_finite() && temperature > 0.0, "a positive number")?;
        if groups.iter().any(Vec::is_empty) {
            return Err(GuidanceError::NoSubjects);
        }
        if groups.len() < 2 {
            return Err(GuidanceError::NothingToCompare);
        }
        let labelled: Vec<(usize, usize)> = groups
            .iter()
            .enumerate()
            .flat_map(|(group, tokens)| tokens.iter().map(move |&token| (group, token)))
            .collect();
        let mut seen = BTreeSet::new();
        if let Some(&(_, position)) = labelled.iter().find(|(_, token)| !seen.insert(*token)) {
            return Err(GuidanceError::SharedToken { position });
        }
        let tokens = labelled.iter().map(|&(_, token)| vec![token]).collect();
        let tokens = Subjects::in_windows(tokens, windows.to_vec())?;
        let groups = labelled.into_iter().map(|(group, _)| group).collect();
        Ok(Self { temperature, plan, reading, tokens, groups })
    }

    /// Whether no two tokens share a group, so that nothing is alike before the second guided step.
    pub fn begins_late(groups: &[Vec<usize>]) -> bool {
        groups.iter().all(|group| group.len() < 2)
    }
}

/// `[rows, rows]`: where two maps are of the same group, but not the same map, and where they are of different groups.
fn relations(groups: &[usize]) -> (Vec<f32>, Vec<f32>) {
    let pairs = || (0..groups.len()).flat_map(|a| (0..groups.len()).map(move |b| (a, b)));
    let where_ = |is: &dyn Fn(usize, usize) -> bool| pairs().map(|(a, b)| f32::from(u8::from(is(a, b)))).collect();
    (where_(&|a, b| a != b && groups[a] == groups[b]), where_(&|a, b| groups[a] != groups[b]))
}

impl Objective for Conform {
    fn maps(&self) -> Vec<MapSet> {
        vec![self.reading.set()]
    }

    fn plan(&self) -> Plan {
        self.plan.clone()
    }

    fn term_names(&self) -> Arc<[String]> {
        [String::from("contrast")].into()
    }

    fn evaluate(&self, pass: &mut Pass<'_>) -> Result<Score, GuidanceError> {
        let now = self.reading.maps(&self.tokens, pass, 0);
        let before = pass.state.previous_step(MAPS);
        pass.state.set(MAPS, now.clone());
        let [images, _, rows, cols] = now.dims();
        let mut groups = self.groups.clone();
        let maps = match before {
            Some(before) => {
                groups.extend(&self.groups);
                let before = if now.device().is_autodiff() { before.autodiff() } else { before };
                Tensor::cat(vec![now, before], 1)
            }
            None => now,
        };
        let count = groups.len();
        let maps = maps.reshape([images, count, rows * cols]);
        let device = maps.device().without_autodiff();
        let (alike, unlike) = relations(&groups);
        let positives = alike.iter().sum::<f32>();
        let names = self.term_names();
        if positives == 0.0 {
            // Constant: no gradient.
            let zero = maps.without_autodiff().narrow(1, 0, 1).narrow(2, 0, 1).reshape([images, 1]) * 0.0;
            return Ok(Score::new(zero.clone().reshape([images]), names, zero));
        }
        let matrix = |values: Vec<f32>| Tensor::<3>::from_data(TensorData::new(values, [1, count, count]), &device);
        let direction = directions(maps);
        // At most 1 / temperature: shifted by that, no exponential is too large.
        let cosines = direction.clone().matmul(direction.swap_dims(1, 2)) - 1.0;
        let logits = cosines / self.temperature;
        let exponentials = logits.clone().exp();
        let others = (exponentials.clone() * matrix(unlike)).sum_dim(2);
        let losses = (exponentials + others).log() - logits;
        let loss = (losses * matrix(alike)).sum_dim(2).sum_dim(1).reshape([images, 1]) / positives;
        Ok(Score::new(loss.clone().reshape([images]), names, loss))
    }

    /// Nothing satisfies it: a refinement of its plans has a number of updates.
    fn is_satisfied(&self, _: usize, _: &Losses) -> bool {
        false
    }
}
