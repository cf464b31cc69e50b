use std::collections::BTreeMap;

use crate::{GaussianSmoothing, GuidanceError};

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
    /// Whether anything happens at denoising step `step`.
    pub fn is_active(&self, step: usize) -> bool {
        step < self.max_iter_to_alter || self.thresholds.contains_key(&step)
    }

    /// Step size of the latent update at `step` of `num_steps` timesteps.
    pub fn step_size(&self, step: usize, num_steps: usize) -> f64 {
        let (start, end) = self.scale_range;
        let fraction = if num_steps > 1 { step as f64 / (num_steps - 1) as f64 } else { 0.0 };
        self.scale_factor * (start + (end - start) * fraction).sqrt()
    }

    /// # Errors
    ///
    /// [`GuidanceError::Setting`] names the first setting outside its range.
    pub fn check(&self) -> Result<(), GuidanceError> {
        let check = |name, value: f64, valid: bool, expected| {
            if valid { Ok(()) } else { Err(GuidanceError::Setting { name, value: value.to_string(), expected }) }
        };
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

    /// `20 * np.sqrt(np.linspace(1.0, 0.5, 51))[[0, 10, 20, 50]]`
    #[test]
    fn step_sizes_are_the_papers() {
        let settings = GuidanceSettings::default();
        for (step, expected) in [(0, 20.0), (10, 18.973_665_96), (20, 17.888_543_82), (50, 14.142_135_62)] {
            assert!((settings.step_size(step, 51) - expected).abs() < 1e-6);
        }
        assert!((settings.step_size(0, 1) - 20.0).abs() < 1e-12);
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
