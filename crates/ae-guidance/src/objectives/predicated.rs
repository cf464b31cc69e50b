use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};

use super::pairs::NounPhrase;
use crate::error::check;
use crate::{GuidanceError, Losses, MapSet, Objective, Pass, Plan, Reading, Score, Subjects};

/// Predicated Diffusion (Sueyoshi and Matsubara 2024): the prompt as propositions of fuzzy logic over the patches. Every thing is
/// somewhere; where a thing is its attributes are, and the other way round; and the attributes of others are not there.
#[derive(Clone, Debug)]
pub struct PredicatedDiffusion {
    /// Weight of what must not be together.
    exclusion: f64,
    plan: Plan,
    reading: Reading,
    nouns: Subjects,
    modifiers: Option<Subjects>,
    /// The noun of every modifier.
    noun_of: Vec<usize>,
    names: Arc<[String]>,
}

impl PredicatedDiffusion {
    /// The objective for the noun phrases of a prompt. The paper's weight of `exclusion` is 0.3.
    ///
    /// # Errors
    ///
    /// When the weight is not a number from zero on, there is no phrase, or a position is not in the windows (see
    /// [`Subjects::in_windows`]).
    pub fn new(
        exclusion: f64,
        plan: Plan,
        phrases: &[NounPhrase],
        windows: &[Range<usize>],
        reading: Reading,
    ) -> Result<Self, GuidanceError> {
        let is_valid = exclusion.is_finite() && exclusion >= 0.0;
        check("exclusion", exclusion, is_valid, "a number that is not negative")?;
        let names = phrases.iter().map(|phrase| phrase.name.clone()).collect();
        let nouns = Subjects::in_windows(phrases.iter().map(|phrase| phrase.noun.clone()).collect(), windows.to_vec())?;
        let of = |(noun, phrase): (usize, &NounPhrase)| vec![noun; phrase.modifiers.len()];
        let noun_of: Vec<usize> = phrases.iter().enumerate().flat_map(of).collect();
        let modifiers: Vec<_> = phrases.iter().flat_map(|phrase| phrase.modifiers.clone()).collect();
        let modifiers =
            if modifiers.is_empty() { None } else { Some(Subjects::in_windows(modifiers, windows.to_vec())?) };
        Ok(Self { exclusion, plan, reading, nouns, modifiers, noun_of, names })
    }
}

/// `-log(1 - x)` with a limit where x is 1.
fn improbability(x: Tensor<3>) -> Tensor<3> {
    -(-x + 1.0).clamp_min(f64::from(f32::EPSILON)).log()
}

impl Objective for PredicatedDiffusion {
    fn maps(&self) -> Vec<MapSet> {
        vec![self.reading.set()]
    }

    fn plan(&self) -> Plan {
        self.plan.clone()
    }

    fn term_names(&self) -> Arc<[String]> {
        Arc::clone(&self.names)
    }

    fn evaluate(&self, pass: &mut Pass<'_>) -> Result<Score, GuidanceError> {
        let read = |words: &Subjects| {
            let maps = self.reading.maps(words, pass, 0);
            let [images, count, rows, cols] = maps.dims();
            maps.reshape([images, count, rows * cols])
        };
        let nouns = read(&self.nouns);
        let [images, count, patches] = nouns.dims();
        // The product over patches by its logarithm.
        let nowhere = (-improbability(nouns.clone())).sum_dim(2).exp();
        let mut terms = improbability(nowhere).reshape([images, count]);
        if let Some(modifiers) = &self.modifiers {
            let modifiers = read(modifiers);
            let device = nouns.device().without_autodiff();
            for (modifier, &own) in self.noun_of.iter().enumerate() {
                let modifier = modifiers.clone().narrow(1, modifier, 1);
                let noun = nouns.clone().narrow(1, own, 1);
                let implies = |a: Tensor<3>, b: Tensor<3>| improbability(a * (-b + 1.0)).sum_dim(2);
                let both = implies(noun.clone(), modifier.clone()) + implies(modifier.clone(), noun);
                // Every other noun is where this modifier is not.
                let apart = improbability(nouns.clone() * modifier.expand([images, count, patches])).sum_dim(2);
                let column = |is: &dyn Fn(usize) -> bool, weight: f64| {
                    let values = (0..count).map(|noun| if is(noun) { weight as f32 } else { 0.0 }).collect();
                    Tensor::<2>::from_data(TensorData::new::<f32, _>(values, [1, count]), &device)
                };
                terms = terms
                    + both.reshape([images, 1]) * column(&|noun| noun == own, 1.0)
                    + apart.reshape([images, count]) * column(&|noun| noun != own, self.exclusion);
            }
        }
        let loss = terms.clone().sum_dim(1).reshape([images]);
        Ok(Score::new(loss, Arc::clone(&self.names), terms))
    }

    /// Nothing satisfies it. Its plans have no refinement.
    fn is_satisfied(&self, _: usize, _: &Losses) -> bool {
        false
    }
}
