//! What refinement was to reach, and where it gave up.

use ae_settings::{Method, Settings};
use serde::Serialize;

use crate::{Explanation, StepGuidance};

/// The methods whose terms are compared with 1 minus a threshold, one by one.
const LIMITED: [Method; 1] = [Method::AttendAndExcite];

/// The losses that refinement of Attend-and-Excite asks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Refinement {
    /// Steps with the loss that no subject may exceed there, 1 minus the threshold (paper, section 3), in their order.
    pub(crate) limits: Vec<(usize, f64)>,
    /// Most updates of one refinement.
    pub(crate) most_updates: usize,
}

impl Refinement {
    /// As the settings of a run say; nothing for another method, and where the settings cannot be read.
    pub(crate) fn of(explanation: &Explanation) -> Self {
        let settings = ae_settings::Overrides::from_json(&explanation.settings).ok();
        let settings = settings.and_then(|own| Settings::combine([&own]).ok());
        let is_guided =
            explanation.runs.first().is_some_and(|run| LIMITED.iter().any(|method| run.method == method.name()));
        let Some(settings) = settings.filter(|_| is_guided) else { return Self::default() };
        let own = &settings.attend_and_excite;
        let altered = own.max_iter_to_alter.resolve(settings.steps);
        let limits = own.thresholds.resolve(settings.steps, altered);
        Self {
            limits: limits.into_iter().map(|(step, threshold)| (step, 1.0 - threshold)).collect(),
            most_updates: own.max_refinement_steps,
        }
    }

    /// Whether the refinement of a step ended because it had its updates, with a loss above the limit.
    pub(crate) fn gave_up(&self, step: usize, guidance: &StepGuidance) -> bool {
        let limit = self.limits.iter().find(|(limited, _)| *limited == step).map(|(_, limit)| *limit);
        let losses = guidance.evaluations.last().into_iter().flatten();
        let highest = losses.copied().filter(|loss| loss.is_finite()).fold(f32::NEG_INFINITY, f32::max);
        let updates = guidance.refinement_steps();
        updates > 0 && updates >= self.most_updates && limit.is_some_and(|limit| f64::from(highest) > limit + 1e-6)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::explanation;

    #[test]
    fn limits_are_those_of_the_settings() {
        let mut explanation = explanation(2);
        let limits = |explanation: &Explanation| Refinement::of(explanation).limits;
        assert_eq!(limits(&explanation), [(0, 0.95), (10, 0.5), (20, 1.0 - 0.8)]);
        explanation.settings =
            json!({ "steps": 20, "attend_and_excite": { "thresholds": { "3": 0.25 }, "max_refinement_steps": 4 } });
        assert_eq!(Refinement::of(&explanation), Refinement { limits: vec![(3, 0.75)], most_updates: 4 });
        explanation.runs.remove(0);
        assert_eq!(Refinement::of(&explanation), Refinement::default());
        explanation.settings = json!("nothing");
        assert_eq!(Refinement::of(&explanation), Refinement::default());
    }

    #[test]
    fn a_refinement_gives_up_above_its_limit_alone() {
        let refinement = Refinement { limits: vec![(10, 0.5)], most_updates: 2 };
        let ended = |losses: &[f32]| StepGuidance {
            evaluations: losses.iter().map(|loss| vec![0.1, *loss]).collect(),
            updated: true,
        };
        assert!(refinement.gave_up(10, &ended(&[0.9, 0.8, 0.7])));
        for (step, losses) in [(10, &[0.9, 0.8, 0.5][..]), (10, &[0.9, 0.8]), (9, &[0.9, 0.8, 0.7]), (10, &[])] {
            assert!(!refinement.gave_up(step, &ended(losses)), "{step} {losses:?}");
        }
    }
}
