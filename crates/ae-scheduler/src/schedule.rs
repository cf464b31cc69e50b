//! The training noise schedule: betas and the cumulative products of alphas.
//!
//! diffusers keeps both as float32 tensors. The rounding is reproduced here, since everything else
//! follows from these numbers: `1 - alphas_cumprod` near the clean end loses digits otherwise.

use std::f64::consts::FRAC_PI_2;

use serde::Deserialize;

use crate::SchedulerConfig;
use crate::prediction::Mix;
use crate::timesteps::index;

/// How `beta` grows over the training timesteps (`beta_schedule`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BetaSchedule {
    /// Linear from `beta_start` to `beta_end` (DDPM).
    Linear,
    /// The square of a linear ramp of square roots (latent diffusion).
    ScaledLinear,
    /// From a squared cosine of the cumulative product, capped at 0.999 (improved DDPM).
    #[serde(rename = "squaredcos_cap_v2")]
    SquaredcosCapV2,
}

/// `alphas_cumprod` at every training timestep, before any rescaling: in `(0, 1]`, falling.
pub(crate) fn alphas_cumprod(config: &SchedulerConfig) -> Vec<f32> {
    cumulative_product(betas(config).into_iter().map(|beta| 1.0 - beta))
}

/// How a clean sample and noise mix to the sample of each timestep: `sqrt(a) * x0 + sqrt(1 - a) * noise`.
pub(crate) fn noisy_at(alphas_cumprod: &[f32], timesteps: &[f64]) -> Vec<Mix> {
    let signal = |&timestep| f64::from(alphas_cumprod[index(timestep)]);
    timesteps.iter().map(signal).map(|signal| Mix::noisy(signal.sqrt(), (1.0 - signal).sqrt())).collect()
}

/// As [`alphas_cumprod`], with the zero terminal SNR rescaling where the config asks for it.
///
/// The last entry is then 0 (`rescale_zero_terminal_snr` of `scheduling_ddim.py`).
pub(crate) fn rescaled_alphas_cumprod(config: &SchedulerConfig) -> Vec<f32> {
    let alphas_cumprod = alphas_cumprod(config);
    if config.rescale_betas_zero_snr { rescale_zero_terminal_snr(&alphas_cumprod) } else { alphas_cumprod }
}

/// The noise levels `sigma = sqrt((1 - a) / a)` of the sigma-based samplers, rising.
pub(crate) fn training_sigmas(config: &SchedulerConfig) -> Vec<f32> {
    let mut alphas_cumprod = rescaled_alphas_cumprod(config);
    if config.rescale_betas_zero_snr
        && let Some(last) = alphas_cumprod.last_mut()
    {
        // diffusers' stand-in for 0 that keeps the first sigma finite: the smallest f16 number.
        *last = 1.0 / 16_777_216.0;
    }
    alphas_cumprod.into_iter().map(|a| ((1.0 - a) / a).sqrt()).collect()
}

fn betas(config: &SchedulerConfig) -> Vec<f32> {
    let count = config.num_train_timesteps;
    match config.beta_schedule {
        BetaSchedule::Linear => linspace(config.beta_start, config.beta_end, count).collect(),
        BetaSchedule::ScaledLinear => {
            linspace(config.beta_start.sqrt(), config.beta_end.sqrt(), count).map(|root| root * root).collect()
        }
        BetaSchedule::SquaredcosCapV2 => {
            let alpha_bar = |t: f64| ((t + 0.008) / 1.008 * FRAC_PI_2).cos().powi(2);
            let time = |i: usize| i as f64 / count as f64;
            (0..count).map(|i| (1.0 - alpha_bar(time(i + 1)) / alpha_bar(time(i))).min(0.999) as f32).collect()
        }
    }
}

/// `torch.linspace(start, end, count, dtype=torch.float32)` for `count >= 2`, bit for bit on a CPU
/// with fused multiply-add: torch fills each half from its own end.
fn linspace(start: f64, end: f64, count: usize) -> impl Iterator<Item = f32> {
    let (start, end) = (start as f32, end as f32);
    let step = (end - start) / (count - 1) as f32;
    (0..count).map(move |i| {
        if i < count / 2 { step.mul_add(i as f32, start) } else { (-step).mul_add((count - 1 - i) as f32, end) }
    })
}

/// `torch.cumprod` of float32 values, which accumulates in float64 on the CPU.
fn cumulative_product(factors: impl Iterator<Item = f32>) -> Vec<f32> {
    factors
        .scan(1.0, |product: &mut f64, factor| {
            *product *= f64::from(factor);
            Some(*product as f32)
        })
        .collect()
}

/// Shifts and scales `sqrt(alphas_cumprod)` so that it ends at 0 and starts where it did
/// (Lin et al. 2023, algorithm 1), by way of the betas as diffusers does.
fn rescale_zero_terminal_snr(alphas_cumprod: &[f32]) -> Vec<f32> {
    let roots: Vec<f32> = alphas_cumprod.iter().map(|a| a.sqrt()).collect();
    let (Some(&first), Some(&last)) = (roots.first(), roots.last()) else {
        return Vec::new();
    };
    let scale = first / (first - last);
    let rescaled: Vec<f32> = roots.iter().map(|root| ((root - last) * scale).powi(2)).collect();
    let ratios = rescaled.windows(2).map(|pair| pair[1] / pair[0]);
    let alphas = rescaled.first().copied().into_iter().chain(ratios);
    // To betas and back, for the rounding.
    cumulative_product(alphas.map(|alpha| 1.0 - (1.0 - alpha)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> SchedulerConfig {
        SchedulerConfig::from_json(json).expect("a valid config")
    }

    const SCALED_LINEAR: [f32; 4] = [0.999_15, 0.998_296, 0.276_332_47, 0.004_660_095];
    const LINEAR: [f32; 4] = [0.999_9, 0.999_780_06, 0.077_796_65, 4.035_830_4e-5];
    const COSINE: [f32; 4] = [0.999_958_7, 0.999_912_56, 0.492_285_04, 2.428_735e-9];
    const RESCALED: [f32; 4] = [0.999_15, 0.998_233_5, 0.241_018_55, 0.0];

    fn at<const N: usize>(values: &[f32], indices: [usize; N]) -> [f32; N] {
        indices.map(|i| values[i])
    }

    /// Within an ulp or two: torch's cosines and square roots differ in the last bit.
    fn assert_close(ours: &[f32], expected: &[f32]) {
        for (ours, expected) in ours.iter().zip(expected) {
            assert!((ours - expected).abs() <= 2e-7 * expected, "{ours} and {expected}");
        }
    }

    // s = PNDMScheduler(beta_schedule=..., ...); s.alphas_cumprod[[0, 1, 500, 999]].tolist()
    #[test]
    fn alphas_cumprod_equal_diffusers_bit_for_bit() {
        let indices = [0, 1, 500, 999];
        let scaled_linear = config(r#"{"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}"#);
        assert_eq!(at(&alphas_cumprod(&scaled_linear), indices), SCALED_LINEAR);
        assert_eq!(at(&alphas_cumprod(&config("{}")), indices), LINEAR);
    }

    // As above, with beta_schedule="squaredcos_cap_v2".
    #[test]
    fn cosine_alphas_cumprod_equal_diffusers() {
        let cosine = config(r#"{"beta_schedule": "squaredcos_cap_v2"}"#);
        assert_close(&at(&alphas_cumprod(&cosine), [0, 1, 500, 999]), &COSINE);
    }

    // s = DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012,
    //                   rescale_betas_zero_snr=True); s.alphas_cumprod[[0, 1, 500, 999]].tolist()
    #[test]
    fn zero_terminal_snr_equals_diffusers() {
        let config = config(
            r#"{"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
                "rescale_betas_zero_snr": true}"#,
        );
        assert_close(&at(&rescaled_alphas_cumprod(&config), [0, 1, 500, 999]), &RESCALED);
        // EulerDiscreteScheduler(..the same..).sigmas[0].item()
        assert_eq!(training_sigmas(&config).last(), Some(&4_095.999_8));
    }
}
