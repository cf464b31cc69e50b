//! What the model predicts, and how to read the clean sample and the noise off it.

use burn::tensor::Tensor;

use crate::PredictionType;

/// How the clean sample and the noise follow from what the model predicts.
pub(crate) trait ReadPrediction {
    /// The clean sample `x0`, from the sample and the model output.
    fn clean_sample(self, alpha: f64, sigma: f64) -> Mix;

    /// The noise, from the sample and the model output.
    fn noise(self, alpha: f64, sigma: f64) -> Mix;
}

impl ReadPrediction for PredictionType {
    fn clean_sample(self, alpha: f64, sigma: f64) -> Mix {
        let (sample, output) = match self {
            Self::Epsilon => (1.0 / alpha, -sigma / alpha),
            Self::VPrediction => (alpha, -sigma),
            Self::Sample => (0.0, 1.0),
        };
        Mix { sample, output }
    }

    fn noise(self, alpha: f64, sigma: f64) -> Mix {
        let (sample, output) = match self {
            Self::Epsilon => (0.0, 1.0),
            Self::VPrediction => (sigma, alpha),
            Self::Sample => (1.0 / sigma, -alpha / sigma),
        };
        Mix { sample, output }
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
