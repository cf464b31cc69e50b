use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::activation::{relu, softmax};
use burn::tensor::{Tensor, TensorData};

use super::largest::indices;
use super::scaled::{LEAST, distributions};
use crate::error::check;
use crate::{GuidanceError, Losses, MapSet, Objective, Pass, Plan, Reading, Score, Subjects, aggregate_attention};

/// Divide & Bind (Li et al. 2023): the map of the most neglected subject must vary much, and a subject and its attribute must look
/// at the same patches.
#[derive(Clone, Debug)]
pub struct DivideAndBind {
    settings: DivideAndBindSettings,
    plan: Plan,
    reading: Reading,
    subjects: Subjects,
    binding: Option<Binding>,
    names: Arc<[String]>,
}

/// The parameters of [`DivideAndBind`]; the default is the paper's.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DivideAndBindSettings {
    /// Refinement: step index to the total variation that every subject must reach.
    pub thresholds: BTreeMap<usize, f64>,
    /// Whether vertical variation is the difference of every row to the last one, as the published code has it, where the paper
    /// means the row below; and whether attributes are compared after a softmax over patches from which a constant is taken.
    pub as_published_code: bool,
}

impl Default for DivideAndBindSettings {
    fn default() -> Self {
        Self { thresholds: BTreeMap::from([(0, 0.05), (10, 0.2), (20, 0.3)]), as_published_code: false }
    }
}

/// The attributes of subjects.
#[derive(Clone, Debug)]
struct Binding {
    attributes: Subjects,
    /// The subject of every attribute.
    subjects: Vec<usize>,
    /// Where attributes are read: maps of higher resolutions.
    readings: Vec<Reading>,
}

impl DivideAndBind {
    /// The objective over the maps of subjects.
    ///
    /// # Errors
    ///
    /// When a threshold is not a number from zero on.
    pub fn new(
        settings: DivideAndBindSettings,
        plan: Plan,
        subjects: Subjects,
        reading: Reading,
    ) -> Result<Self, GuidanceError> {
        for threshold in settings.thresholds.values().copied() {
            let is_valid = threshold.is_finite() && threshold >= 0.0;
            check("thresholds", threshold, is_valid, "numbers that are not negative")?;
        }
        let names = subjects.names();
        Ok(Self { settings, plan, reading, subjects, binding: None, names })
    }

    /// Binds attributes to subjects, by their indices. Of `readings` the layers count, whose maps are of the resolution of the subjects' maps
    /// or above: those of attributes are read from them as the subjects' are.
    ///
    /// # Panics
    ///
    /// When there are not as many attributes as indices, or no reading.
    #[must_use]
    pub fn with_attributes(mut self, attributes: Subjects, subjects: Vec<usize>, readings: Vec<Reading>) -> Self {
        assert!(attributes.count() == subjects.len() && !readings.is_empty(), "an attribute has a subject, and a map");
        self.names = self.names.iter().cloned().chain(attributes.names().iter().cloned()).collect();
        self.binding = Some(Binding { attributes, subjects, readings });
        self
    }

    /// The mean difference of neighbours along both axes, `[images, subjects]`.
    fn total_variation(&self, maps: &Tensor<4>) -> Tensor<2> {
        let [images, subjects, rows, cols] = maps.dims();
        let mean = |differences: Tensor<4>| differences.abs().mean_dim(3).mean_dim(2).reshape([images, subjects]);
        let along = |dim: usize, length: usize| {
            let (first, second) = (maps.clone().narrow(dim, 0, length - 1), maps.clone().narrow(dim, 1, length - 1));
            mean(second - first)
        };
        let down = if self.settings.as_published_code {
            mean(maps.clone().narrow(2, rows - 1, 1) - maps.clone().narrow(2, 1, rows - 1))
        } else {
            along(2, rows)
        };
        along(3, cols) + down
    }

    /// The maps of the attributes, `[images, attributes, rows, cols]`.
    fn attribute_maps(&self, binding: &Binding, pass: &Pass<'_>) -> Tensor<4> {
        let resolution = self.reading.resolution();
        // The mean over all layers, each at the patches nearest to those of the subjects' maps.
        let layers = binding.readings.iter().enumerate().flat_map(|(index, reading)| {
            let at = nearest(reading.resolution(), resolution);
            pass.maps[index + 1].iter().map(move |layer| layer.clone().select(2, indices(&at, &layer.device())))
        });
        let maps = aggregate_attention(layers.collect(), resolution);
        self.reading.smoothed(self.reading.unsmoothed(&binding.attributes, maps))
    }

    /// How different the maps of attributes and their subjects are, `[images, attributes]`.
    fn divergence(&self, nouns: Tensor<3>, attributes: Tensor<3>, variation: &Tensor<2>) -> Tensor<2> {
        let [images, count, _] = nouns.dims();
        let (nouns, attributes) = if self.settings.as_published_code {
            let brightest = nouns.clone().max_dim(2);
            let attributes = attributes.clone() / attributes.max_dim(2).clamp_min(LEAST) * brightest;
            let (nouns, attributes) = (softmax(nouns, 2), softmax(attributes, 2));
            let is_flat = variation.clone().without_autodiff().lower_elem(0.1).float().reshape([images, count, 1]);
            let cut = nouns.clone().max_dim(2) * (is_flat * 0.1 + 0.2);
            (relu(nouns - cut.clone()) + 1e-5, relu(attributes - cut) + 1e-5)
        } else {
            (distributions(nouns), distributions(attributes))
        };
        let least = f64::from(f32::EPSILON);
        let log = |maps: &Tensor<3>| maps.clone().clamp_min(least).log();
        let middle = log(&((nouns.clone() + attributes.clone()) * 0.5));
        let to_middle =
            |maps: Tensor<3>| (maps.clone() * (log(&maps) - middle.clone())).sum_dim(2).reshape([images, count]);
        (to_middle(nouns) + to_middle(attributes)) * 0.5
    }
}

/// The patches of maps of one resolution that are nearest to those of another, as torch's `interpolate` picks them.
fn nearest(from: [usize; 2], to: [usize; 2]) -> Vec<usize> {
    let at = |axis: usize, index: usize| index * from[axis] / to[axis];
    let patches = (0..to[0]).flat_map(|row| (0..to[1]).map(move |col| (row, col)));
    patches.map(|(row, col)| at(0, row) * from[1] + at(1, col)).collect()
}

/// The weight of binding at a step: it grows when the subjects are there (1, 5 and 10 of 50 steps).
fn binding_weight(step: usize, count: usize) -> f64 {
    match step * 50 / count {
        0..10 => 1.0,
        10..20 => 5.0,
        _ => 10.0,
    }
}

impl Objective for DivideAndBind {
    fn maps(&self) -> Vec<MapSet> {
        let binding = self.binding.iter().flat_map(|binding| &binding.readings);
        std::iter::once(&self.reading).chain(binding).map(Reading::set).collect()
    }

    fn plan(&self) -> Plan {
        self.plan.clone()
    }

    fn term_names(&self) -> Arc<[String]> {
        Arc::clone(&self.names)
    }

    fn evaluate(&self, pass: &mut Pass<'_>) -> Result<Score, GuidanceError> {
        let maps = self.reading.maps(&self.subjects, pass, 0);
        let [images, subjects, rows, cols] = maps.dims();
        let variation = self.total_variation(&maps);
        let mut of_subjects = -variation.clone();
        let mut terms = vec![of_subjects.clone()];
        if let Some(binding) = &self.binding {
            let count = binding.subjects.len();
            let attributes = self.attribute_maps(binding, pass).reshape([images, count, rows * cols]);
            let of = |values: Tensor<3>| {
                let each = binding.subjects.iter().map(|&subject| values.clone().narrow(1, subject, 1));
                Tensor::cat(each.collect(), 1)
            };
            let nouns = of(maps.reshape([images, subjects, rows * cols]));
            let variations = of(variation.reshape([images, subjects, 1])).reshape([images, count]);
            let divergence = self.divergence(nouns, attributes, &variations);
            let mut share = vec![0.0_f32; count * subjects];
            for (attribute, subject) in binding.subjects.iter().enumerate() {
                share[attribute * subjects + subject] = binding_weight(pass.step.index, pass.step.count) as f32;
            }
            let share = TensorData::new(share, [count, subjects]);
            let share = Tensor::<2>::from_data(share, &divergence.device().without_autodiff());
            of_subjects = of_subjects + divergence.clone().matmul(share);
            terms.push(divergence);
        }
        let loss = of_subjects.max_dim(1).reshape([images]);
        Ok(Score::new(loss, Arc::clone(&self.names), Tensor::cat(terms, 1)))
    }

    /// Where no threshold is, nothing satisfies it.
    fn is_satisfied(&self, step: usize, losses: &Losses) -> bool {
        let threshold = self.settings.thresholds.get(&step).copied().unwrap_or(f64::INFINITY) as f32;
        losses.values().take(self.subjects.count()).all(|loss| -loss >= threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `torch.nn.functional.interpolate(torch.arange(15.).reshape(1, 1, 3, 5), (2, 3))`
    #[test]
    fn the_nearest_patches_are_torchs() {
        assert_eq!(nearest([3, 5], [2, 3]), [0, 1, 3, 5, 6, 8]);
        assert_eq!(nearest([2, 2], [2, 2]), [0, 1, 2, 3]);
    }

    #[test]
    fn binding_grows_by_shares_of_the_steps() {
        for (step, count, weight) in
            [(0, 50, 1.0), (9, 50, 1.0), (10, 50, 5.0), (20, 50, 10.0), (2, 10, 5.0), (0, 1, 1.0)]
        {
            assert!((binding_weight(step, count) - weight).abs() < f64::EPSILON, "{step} of {count}");
        }
    }
}
