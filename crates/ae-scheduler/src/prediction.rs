//! What the model predicts, and how to read the clean sample and the noise off it.

use std::str::FromStr;

use burn::tensor::Tensor;
use serde::Deserialize;

use crate::SchedulerError;

/// What the model was trained to predict (`prediction_type`).
///
/// With the sample `x = alpha * x0 + sigma * noise`, `alpha^2 + sigma^2 = 1`:
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum PredictionType {
    /// The noise.
    Epsilon,
    /// The velocity `alpha * noise - sigma * x0` (Salimans and Ho 2022).
    VPrediction,
    /// The clean sample `x0`.
    Sample,
}

impl PredictionType {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Epsilon, Self::VPrediction, Self::Sample];

    /// Its name in `scheduler_config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Epsilon => "epsilon",
            Self::VPrediction => "v_prediction",
            Self::Sample => "sample",
        }
    }

    /// The clean sample `x0`, from the sample and the model output.
    pub(crate) fn clean_sample(self, alpha: f64, sigma: f64) -> Mix {
        let (sample, output) = match self {
            Self::Epsilon => (1.0 / alpha, -sigma / alpha),
            Self::VPrediction => (alpha, -sigma),
            Self::Sample => (0.0, 1.0),
        };
        Mix { sample, output }
    }

    /// The noise, from the sample and the model output.
    pub(crate) fn noise(self, alpha: f64, sigma: f64) -> Mix {
        let (sample, output) = match self {
            Self::Epsilon => (0.0, 1.0),
            Self::VPrediction => (sigma, alpha),
            Self::Sample => (1.0 / sigma, -alpha / sigma),
        };
        Mix { sample, output }
    }
}

impl FromStr for PredictionType {
    type Err = SchedulerError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().copied().find(|kind| kind.name() == name);
        found.ok_or_else(|| SchedulerError::UnknownPrediction { name: name.to_owned() })
    }
}

/// The linear combination `sample * x + output * m` of a sample `x` and a model output `m`.
///
/// Every formula of every sampler reduces to it on the host, so that a step costs two
/// multiplications and one addition per term on the device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mix {
    pub(crate) sample: f64,
    pub(crate) output: f64,
}

impl Mix {
    /// How a clean sample and noise mix to a sample `alpha * x0 + sigma * noise`.
    pub(crate) fn noisy(alpha: f64, sigma: f64) -> Self {
        Self { sample: alpha, output: sigma }
    }

    /// `factor * self`
    pub(crate) fn scaled(self, factor: f64) -> Self {
        Self { sample: factor * self.sample, output: factor * self.output }
    }

    /// `a * self + b * other`
    pub(crate) fn combine(self, a: f64, other: Self, b: f64) -> Self {
        let (left, right) = (self.scaled(a), other.scaled(b));
        Self { sample: left.sample + right.sample, output: left.output + right.output }
    }

    pub(crate) fn is_finite(self) -> bool {
        self.sample.is_finite() && self.output.is_finite()
    }

    pub(crate) fn apply(self, sample: Tensor<4>, output: Tensor<4>) -> Tensor<4> {
        sample.mul_scalar(self.sample) + output.mul_scalar(self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For known `x0` and noise, every prediction type must give them back.
    #[test]
    fn every_prediction_type_recovers_clean_sample_and_noise() {
        let (alpha, sigma) = (0.8, 0.6);
        let (x0, noise) = (1.7, -0.4);
        let sample = alpha * x0 + sigma * noise;
        for (prediction, output) in [
            (PredictionType::Epsilon, noise),
            (PredictionType::VPrediction, alpha * noise - sigma * x0),
            (PredictionType::Sample, x0),
        ] {
            let read = |mix: Mix| mix.sample * sample + mix.output * output;
            assert!((read(prediction.clean_sample(alpha, sigma)) - x0).abs() < 1e-12);
            assert!((read(prediction.noise(alpha, sigma)) - noise).abs() < 1e-12);
        }
    }
}
