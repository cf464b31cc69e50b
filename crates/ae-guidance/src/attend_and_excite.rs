use std::sync::Arc;

use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use crate::{GuidanceError, GuidanceSettings, Layers, Losses, MapSet, Objective, Pass, Plan, Reading, Score, Subjects};

/// Attend-and-Excite: the most neglected subject must get the attention of some patch (paper, equation 1).
#[derive(Clone, Debug)]
pub struct AttendAndExcite {
    settings: GuidanceSettings,
    subjects: Subjects,
    reading: Reading,
}

impl AttendAndExcite {
    /// The objective over the cross-attention of `resolution` (rows, cols).
    ///
    /// # Errors
    ///
    /// When a setting is outside its range or the maps are too small for the smoothing.
    pub fn new(settings: GuidanceSettings, subjects: Subjects, resolution: [usize; 2]) -> Result<Self, GuidanceError> {
        settings.check()?;
        let reading = Reading::new(resolution).with_softmax(settings.attention_scale)?;
        let reading = match settings.smoothing {
            Some(smoothing) => reading.with_smoothing(smoothing)?,
            None => reading,
        };
        Ok(Self { settings, subjects, reading })
    }

    /// Reads only these layers, whose maps must be of the resolution.
    #[must_use]
    pub fn with_layers(self, layers: Layers) -> Self {
        Self { reading: self.reading.with_layers(layers), ..self }
    }

    /// The map of every subject: its share in the softmax over tokens, smoothed.
    ///
    /// # Shapes
    /// - maps: `[batch, rows, cols, tokens]`, as [`aggregate_attention`](crate::aggregate_attention)
    ///   gives them
    /// - output: `[batch, subjects, rows, cols]`
    pub fn subject_maps(&self, maps: Tensor<4>) -> Tensor<4> {
        self.reading.smoothed(self.reading.unsmoothed(&self.subjects, maps))
    }

    /// The loss of every subject, `max(0, 1 - max of its map)`, as terms, and the largest of them.
    ///
    /// # Shapes
    /// - subject_maps: `[batch, subjects, rows, cols]`
    pub fn score(&self, subject_maps: Tensor<4>) -> Score {
        let [batch, subjects, rows, cols] = subject_maps.dims();
        let maxima = subject_maps.reshape([batch, subjects, rows * cols]).max_dim(2).reshape([batch, subjects]);
        // Not a clamp: the gradient is to be zero where the loss is, also where the maximum is exactly 1.
        let subject_losses = relu(-maxima + 1.0);
        let loss = subject_losses.clone().max_dim(1).reshape([batch]);
        Score::new(loss, self.subjects.names(), subject_losses)
    }
}

impl Objective for AttendAndExcite {
    fn maps(&self) -> Vec<MapSet> {
        vec![self.reading.set()]
    }

    fn plan(&self) -> Plan {
        self.settings.plan()
    }

    fn term_names(&self) -> Arc<[String]> {
        self.subjects.names()
    }

    fn evaluate(&self, pass: &mut Pass<'_>) -> Result<Score, GuidanceError> {
        Ok(self.score(self.reading.maps(&self.subjects, pass, 0)))
    }

    /// Where no threshold is, that of a loss of zero counts.
    fn is_satisfied(&self, step: usize, losses: &Losses) -> bool {
        let threshold = self.settings.thresholds.get(&step).copied().unwrap_or(1.0);
        losses.loss <= (1.0 - threshold) as f32
    }

    /// The loss is zero where every maximum is 1 or more: the references leave the latents alone there.
    fn has_zero_gradient(&self, losses: &Losses) -> bool {
        losses.loss <= 0.0
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    /// As `max(0, 1 - maximum)` in Python, whose latent update is left out where the loss is zero.
    #[test]
    fn a_subject_with_all_the_attention_has_no_loss_and_no_gradient() {
        let subjects = Subjects::new(vec![vec![1]], 3, None).unwrap();
        let objective = AttendAndExcite::new(GuidanceSettings::default(), subjects, [3, 3]).unwrap();
        for maximum in [1.0, 1.5] {
            let mut maps = [[[[0.25_f32; 3]; 3]]];
            maps[0][0][1][2] = maximum;
            let maps = Tensor::<4>::from_data(maps, &Device::flex()).autodiff().require_grad();
            let loss = objective.score(maps.clone()).loss.sum();
            let gradient = maps.grad(&loss.backward()).unwrap().into_data();
            assert!(gradient.iter::<f32>().all(|value| value == 0.0), "{maximum}: {gradient:?}");
            assert!(loss.into_scalar::<f32>().abs() < f32::EPSILON);
        }
    }
}
