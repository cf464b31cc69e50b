//! The noise levels of the sigma-based samplers.

use ae_settings::SigmaSpacing;
use serde::Deserialize;
use statrs::function::beta::inv_beta_reg;

use crate::prediction::Mix;
use crate::schedule::BetaSchedule;
use crate::timesteps::{index, linspace, solver_timesteps};
use crate::{SchedulerConfig, SchedulerError};
use ae_settings::TimestepSpacing as Spacing;

/// Both shape parameters of the beta distribution, as in diffusers' `_convert_to_beta`.
const BETA_SHAPE: f64 = 0.6;

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
/// seventh root (Karras et al. 2022, equation 5), in their logarithm (`_convert_to_exponential`), or by the quantiles of a beta
/// distribution (Lee et al. 2024, `_convert_to_beta`); none where the timesteps give them. The config's `sigma_min` and
/// `sigma_max` come before `range`.
pub(crate) fn spread(
    config: &SchedulerConfig,
    training_sigmas: &[f32],
    range: (f64, f64),
    steps: usize,
) -> Option<(Vec<f64>, Vec<f64>)> {
    const RHO: f64 = 7.0;
    type Map = fn(f64) -> f64;
    let (min, max) = (config.sigma_min.unwrap_or(range.0), config.sigma_max.unwrap_or(range.1));
    let even = |there: Map, back: Map| {
        let (min, max) = (there(min), there(max));
        linspace(1.0, steps).map(|ramp| back(max + ramp * (min - max))).collect()
    };
    let sigmas: Vec<f64> = match config.sigmas {
        SigmaSpacing::Normal => return None,
        SigmaSpacing::Karras => even(|sigma| sigma.powf(1.0 / RHO), |root| root.powf(RHO)),
        SigmaSpacing::Exponential => even(f64::ln, f64::exp),
        SigmaSpacing::Beta => linspace(1.0, steps).map(|ramp| min + quantile(1.0 - ramp) * (max - min)).collect(),
    };
    let log_sigmas: Vec<f32> = training_sigmas.iter().map(|sigma| sigma.ln()).collect();
    let timesteps = sigmas.iter().map(|&sigma| timestep_of(sigma, &log_sigmas)).collect();
    Some((timesteps, sigmas))
}

/// `scipy.stats.beta.ppf(probability, 0.6, 0.6)`
fn quantile(probability: f64) -> f64 {
    // The library's ends are not quite 0 and 1.
    if probability <= 0.0 || probability >= 1.0 {
        probability
    } else {
        inv_beta_reg(BETA_SHAPE, BETA_SHAPE, probability)
    }
}

/// The timesteps of DPM-Solver++ and UniPC, which look at the first `end` training timesteps, and their noise levels with the final
/// one appended.
pub(crate) fn solver_levels(
    config: &SchedulerConfig,
    training_sigmas: &[f32],
    end: usize,
    steps: usize,
) -> Result<(Vec<f64>, Vec<f64>), SchedulerError> {
    let range = (f64::from(training_sigmas[0]), f64::from(training_sigmas[training_sigmas.len() - 1]));
    let (timesteps, sigmas) = if let Some((mut timesteps, sigmas)) = spread(config, training_sigmas, range, steps) {
        for timestep in &mut timesteps {
            *timestep = match (config.sigmas, config.beta_schedule) {
                (SigmaSpacing::Karras, BetaSchedule::Linear | BetaSchedule::ScaledLinear) => timestep.round_ties_even(),
                // Not rounded, but cast to an integer all the same.
                _ => timestep.trunc(),
            };
        }
        (timesteps, sigmas)
    } else {
        let timesteps = solver_timesteps(config, config.timestep_spacing.unwrap_or(Spacing::Linspace), end, steps)?;
        let sigmas = timesteps.iter().map(|&t| interpolate(training_sigmas, t)).collect();
        (timesteps, sigmas)
    };
    Ok((timesteps, with_final(training_sigmas, sigmas, config.final_sigmas_type)))
}

/// The noise level that an ancestral step from `sigma` to `next` walks to, and the deviation of the noise that it adds then:
/// `get_ancestral_step` of k-diffusion.
pub(crate) fn ancestral(sigma: f64, next: f64) -> (f64, Option<f64>) {
    let (from, to) = (sigma.powi(2), next.powi(2));
    let up = to * (from - to) / from;
    ((to - up).sqrt(), Some(up.sqrt()))
}

/// The fractional timestep with noise level `sigma`: `_sigma_to_t` of
/// `scheduling_euler_discrete.py`, a linear interpolation of log sigma.
pub(crate) fn timestep_of(sigma: f64, log_sigmas: &[f32]) -> f64 {
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

/// How a clean sample and noise mix to a variance-preserving sample of each noise level.
pub(crate) fn noisy(noise_levels: &[f64]) -> Vec<Mix> {
    let mix = |(alpha, sigma)| Mix::noisy(alpha, sigma);
    noise_levels.iter().map(|&level| mix(variance_preserving(level))).collect()
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
        for sigmas in [SigmaSpacing::Karras, SigmaSpacing::Exponential, SigmaSpacing::Beta] {
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

    // scipy.stats.beta.ppf([0, 0.02, 0.25, 0.5, 0.9, 0.999, 1], 0.6, 0.6)
    #[test]
    fn quantiles_equal_scipys() {
        for (probability, expected) in [
            (0.0, 0.0),
            (0.02, 0.002_732_982_024_577_027),
            (0.25, 0.175_680_378_652_694_98),
            (0.5, 0.5),
            (0.9, 0.960_415_594_411_219_2),
            (0.999, 0.999_981_441_261_482_6),
            (1.0, 1.0),
        ] {
            assert!((quantile(probability) - expected).abs() < 1e-9, "{probability}: {}", quantile(probability));
        }
    }
}
