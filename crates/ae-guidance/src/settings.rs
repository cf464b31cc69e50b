use std::collections::BTreeMap;

use crate::error::check;
use crate::{GaussianSmoothing, GuidanceError, Plan, Refinement, StepSize};

/// The parameters of the method; the default is the paper's.
#[derive(Clone, Debug, PartialEq)]
pub struct GuidanceSettings {
    /// Latents are updated at the denoising steps below this index.
    pub max_iter_to_alter: usize,
    /// Refinement: step index to threshold. The latents are updated until every subject's maximum
    /// reaches the threshold, i.e. until the loss is at most one minus it.
    pub thresholds: BTreeMap<usize, f64>,
    /// Most updates of one refinement.
    pub max_refinement_steps: usize,
    /// Step size of the update before the scale range.
    pub scale_factor: f64,
    /// The step size is multiplied by the square root of a line from the first to the second value
    /// over all timesteps.
    pub scale_range: (f64, f64),
    /// Factor in front of the softmax over tokens.
    pub attention_scale: f64,
    /// Smoothing of the subjects' maps, if any.
    pub smoothing: Option<GaussianSmoothing>,
}

impl Default for GuidanceSettings {
    /// Stable Diffusion 1 in the paper and in both reference implementations.
    fn default() -> Self {
        Self {
            max_iter_to_alter: 25,
            thresholds: BTreeMap::from([(0, 0.05), (10, 0.5), (20, 0.8)]),
            max_refinement_steps: 20,
            scale_factor: 20.0,
            scale_range: (1.0, 0.5),
            attention_scale: 100.0,
            smoothing: Some(GaussianSmoothing::default()),
        }
    }
}

impl GuidanceSettings {
    /// Steps, step sizes and refinements.
    pub fn plan(&self) -> Plan {
        let step_size = StepSize::Decay { scale: self.scale_factor, range: self.scale_range };
        let refinement = Refinement::AtMost(self.max_refinement_steps);
        Plan::new(0..self.max_iter_to_alter, step_size)
            .with_refinement(self.thresholds.keys().map(|&step| (step, refinement)))
    }

    /// # Errors
    ///
    /// [`GuidanceError::Setting`] names the first setting outside its range.
    pub fn check(&self) -> Result<(), GuidanceError> {
        for threshold in self.thresholds.values().copied() {
            check("thresholds", threshold, (0.0..=1.0).contains(&threshold), "numbers between 0 and 1")?;
        }
        for value in [self.scale_range.0, self.scale_range.1] {
            check("scale-range", value, value.is_finite() && value >= 0.0, "two numbers that are not negative")?;
        }
        let scale = self.scale_factor;
        check("scale-factor", scale, scale.is_finite() && scale >= 0.0, "a number that is not negative")?;
        let scale = self.attention_scale;
        check("attention-scale", scale, scale.is_finite() && scale > 0.0, "a positive number")?;
        self.smoothing.map_or(Ok(()), GaussianSmoothing::check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::number;

    #[test]
    fn a_number_of_any_size_is_short_in_an_error() {
        for value in [-1e308, -1e-300, f64::MIN, -0.1 - 0.2] {
            let settings = GuidanceSettings { scale_factor: value, ..GuidanceSettings::default() };
            let error = settings.check().unwrap_err().to_string();
            assert!(error.len() < 90 && error.starts_with("scale-factor is -"), "{error}");
        }
        assert_eq!((number(20.0), number(-0.25), number(1e308)), ("20".into(), "-0.25".into(), "1e308".into()));
    }

    #[test]
    fn the_plan_is_the_papers() {
        let refinement = [0, 10, 20].map(|step| (step, Refinement::AtMost(20)));
        let step_size = StepSize::Decay { scale: 20.0, range: (1.0, 0.5) };
        assert_eq!(GuidanceSettings::default().plan(), Plan::new(0..25, step_size).with_refinement(refinement));
    }

    #[test]
    fn settings_outside_their_range_are_named() {
        type Change = fn(&mut GuidanceSettings);
        let broken: [(Change, &str); 7] = [
            (|s| s.thresholds = BTreeMap::from([(0, 1.5)]), "thresholds is 1.5"),
            (|s| s.thresholds = BTreeMap::from([(0, f64::NAN)]), "thresholds is NaN"),
            (|s| s.scale_factor = f64::INFINITY, "scale-factor is inf"),
            (|s| s.scale_range.1 = -0.5, "scale-range is -0.5"),
            (|s| s.attention_scale = 0.0, "attention-scale is 0"),
            (|s| s.smoothing = Some(GaussianSmoothing { kernel_size: 4, sigma: 0.5 }), "kernel-size is 4"),
            (|s| s.smoothing = Some(GaussianSmoothing { kernel_size: 3, sigma: 0.0 }), "sigma is 0"),
        ];
        for (change, message) in broken {
            let mut settings = GuidanceSettings::default();
            change(&mut settings);
            let error = settings.check().unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
        assert_eq!(GuidanceSettings::default().check(), Ok(()));
    }
}
