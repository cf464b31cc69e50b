//! The noise levels of the sigma-based samplers: Euler, ancestral Euler and DPM-Solver++.

use ae_settings::SigmaSpacing;
use serde::Deserialize;

use crate::SchedulerConfig;
use crate::timesteps::{index, linspace};

/// The noise level after the last step (`final_sigmas_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FinalSigmas {
    /// None: the last step gives the clean sample.
    Zero,
    /// The lowest training noise level.
    SigmaMin,
}

/// `np.interp(timestep, np.arange(len(sigmas)), sigmas)`: held constant past the end.
pub(crate) fn interpolate(sigmas: &[f32], timestep: f64) -> f64 {
    let low = index(timestep).min(sigmas.len() - 2);
    let (left, right) = (f64::from(sigmas[low]), f64::from(sigmas[low + 1]));
    left + (right - left) * (timestep - low as f64).min(1.0)
}

/// Noise levels from `range.1` down to `range.0`, spread as the config says, and the timesteps that have them: evenly in their
/// seventh root (Karras et al. 2022, equation 5) or in their logarithm (`_convert_to_exponential`); none where the timesteps
/// give them. The config's `sigma_min` and `sigma_max` come before `range`.
pub(crate) fn spread(
    config: &SchedulerConfig,
    training_sigmas: &[f32],
    range: (f64, f64),
    steps: usize,
) -> Option<(Vec<f64>, Vec<f64>)> {
    const RHO: f64 = 7.0;
    type Map = fn(f64) -> f64;
    let (there, back): (Map, Map) = match config.sigmas {
        SigmaSpacing::Normal => return None,
        SigmaSpacing::Karras => (|sigma| sigma.powf(1.0 / RHO), |root| root.powf(RHO)),
        SigmaSpacing::Exponential => (f64::ln, f64::exp),
    };
    let min = there(config.sigma_min.unwrap_or(range.0));
    let max = there(config.sigma_max.unwrap_or(range.1));
    let log_sigmas: Vec<f32> = training_sigmas.iter().map(|sigma| sigma.ln()).collect();
    let sigmas: Vec<f64> = linspace(1.0, steps).map(|ramp| back(max + ramp * (min - max))).collect();
    let timesteps = sigmas.iter().map(|&sigma| timestep_of(sigma, &log_sigmas)).collect();
    Some((timesteps, sigmas))
}

/// The fractional timestep with noise level `sigma`: `_sigma_to_t` of
/// `scheduling_euler_discrete.py`, a linear interpolation of log sigma.
fn timestep_of(sigma: f64, log_sigmas: &[f32]) -> f64 {
    let log_sigma = sigma.max(1e-10).ln();
    let low =
        log_sigmas.partition_point(|&value| f64::from(value) <= log_sigma).saturating_sub(1).min(log_sigmas.len() - 2);
    let (left, right) = (log_sigmas[low], log_sigmas[low + 1]);
    let weight = ((f64::from(left) - log_sigma) / f64::from(left - right)).clamp(0.0, 1.0);
    (1.0 - weight) * low as f64 + weight * (low + 1) as f64
}

/// The noise levels in float32 as diffusers stores them, with the final one appended.
pub(crate) fn with_final(
    training_sigmas: &[f32],
    sigmas: impl IntoIterator<Item = f64>,
    final_sigmas_type: FinalSigmas,
) -> Vec<f64> {
    let last = match final_sigmas_type {
        FinalSigmas::Zero => 0.0,
        FinalSigmas::SigmaMin => f64::from(training_sigmas[0]),
    };
    sigmas.into_iter().chain([last]).map(|sigma| f64::from(sigma as f32)).collect()
}

/// `alpha` and `sigma` of a variance-preserving sample with noise level `sigma / alpha`.
pub(crate) fn variance_preserving(noise_level: f64) -> (f64, f64) {
    let alpha = 1.0 / (noise_level * noise_level + 1.0).sqrt();
    (alpha, noise_level * alpha)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::training_sigmas;

    #[test]
    fn interpolation_is_linear_and_constant_past_the_end() {
        let sigmas = [1.0, 3.0, 7.0];
        let values = [0.0, 0.5, 1.0, 1.75, 2.0, 5.0].map(|t| interpolate(&sigmas, t));
        assert_eq!(values, [1.0, 2.0, 3.0, 6.0, 7.0, 7.0]);
    }

    #[test]
    fn timesteps_of_the_training_sigmas_are_their_indices() {
        let config = SchedulerConfig::from_json("{}").expect("a valid config");
        let sigmas = training_sigmas(&config);
        let log_sigmas: Vec<f32> = sigmas.iter().map(|sigma| sigma.ln()).collect();
        for timestep in [0, 1, 500, 998, 999] {
            let found = timestep_of(f64::from(sigmas[timestep]), &log_sigmas);
            assert!((found - timestep as f64).abs() < 1e-3, "{found} for {timestep}");
        }
        assert_eq!(timestep_of(1e9, &log_sigmas), 999.0);
        assert_eq!(timestep_of(0.0, &log_sigmas), 0.0);
    }

    #[test]
    fn levels_span_the_range() {
        for sigmas in [SigmaSpacing::Karras, SigmaSpacing::Exponential] {
            let config =
                SchedulerConfig::from_json(r#"{"sigma_max": 20.0}"#).expect("a valid config").with_sigmas(sigmas);
            let (timesteps, sigmas) = spread(&config, &training_sigmas(&config), (0.1, 10.0), 5).expect("levels");
            assert!((sigmas[0] - 20.0).abs() < 1e-12 && (sigmas[4] - 0.1).abs() < 1e-12);
            assert!(sigmas.is_sorted_by(|a, b| a > b));
            assert!(timesteps.is_sorted_by(|a, b| a > b));
        }
    }

    // np.exp(np.linspace(math.log(10.0), math.log(0.1), 3))
    #[test]
    fn exponential_levels_equal_diffusers() {
        let config = SchedulerConfig::from_json("{}").expect("a valid config").with_sigmas(SigmaSpacing::Exponential);
        let (_, sigmas) = spread(&config, &training_sigmas(&config), (0.1, 10.0), 3).expect("levels");
        for (sigma, expected) in sigmas.iter().zip([10.0, 1.0, 0.1]) {
            assert!((sigma - expected).abs() < 1e-12, "{sigmas:?}");
        }
    }
}
