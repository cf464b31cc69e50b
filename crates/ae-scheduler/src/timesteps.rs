//! Which training timesteps the denoising steps visit (`set_timesteps` of the diffusers classes;
//! Lin et al. 2023, table 2).

use ae_settings::TimestepSpacing as Spacing;

use crate::{SchedulerConfig, SchedulerError, SchedulerKind};

/// One timestep per step, falling. Only `Linspace` gives fractions: PNDM and DDIM round them.
pub(crate) fn timesteps(config: &SchedulerConfig, spacing: Spacing, steps: usize) -> Result<Vec<f64>, SchedulerError> {
    let count = config.num_train_timesteps;
    let timesteps = match spacing {
        Spacing::Linspace => linspace((count - 1) as f64, steps).rev().collect(),
        Spacing::Leading => leading(count / steps, config.steps_offset, 0..steps),
        Spacing::Trailing => trailing(count, count as f64 / steps as f64),
    };
    check_range(config, timesteps, steps)
}

/// The timesteps of DPM-Solver++ and UniPC, falling integers: one more than `steps` is spread over the first
/// `end` training timesteps, and the one at the clean end left out.
pub(crate) fn solver_timesteps(
    config: &SchedulerConfig,
    spacing: Spacing,
    end: usize,
    steps: usize,
) -> Result<Vec<f64>, SchedulerError> {
    let timesteps = match spacing {
        Spacing::Linspace => {
            linspace((end - 1) as f64, steps + 1).rev().take(steps).map(f64::round_ties_even).collect()
        }
        Spacing::Leading => leading(end / (steps + 1), config.steps_offset, 1..steps + 1),
        Spacing::Trailing => trailing(end, config.num_train_timesteps as f64 / steps as f64),
    };
    check_range(config, timesteps, steps)
}

/// The timesteps of LCM and TCD: out of the `original_inference_steps` with which the model was distilled.
pub(crate) fn distilled_timesteps(
    config: &SchedulerConfig,
    kind: SchedulerKind,
    steps: usize,
) -> Result<Vec<f64>, SchedulerError> {
    let original_inference_steps = config.original_inference_steps.min(config.num_train_timesteps);
    if steps > original_inference_steps {
        return Err(SchedulerError::TooManyDistilledSteps { kind, steps, original_inference_steps });
    }
    let stride = config.num_train_timesteps / original_inference_steps;
    // Those of the distillation from the last to the first, at `np.floor(np.linspace(0, count, steps, endpoint=False))`.
    let at = |step: usize| original_inference_steps * step / steps;
    Ok((0..steps).map(|step| ((original_inference_steps - at(step)) * stride - 1) as f64).collect())
}

/// `np.linspace(0, stop, count)`
pub(crate) fn linspace(stop: f64, count: usize) -> impl DoubleEndedIterator<Item = f64> {
    let stride = stop / (count.max(2) - 1) as f64;
    (0..count).map(move |i| {
        // numpy sets the last point, unless it is also the first.
        if i > 0 && i + 1 == count { stop } else { i as f64 * stride }
    })
}

fn leading(stride: usize, offset: usize, multiples: std::ops::Range<usize>) -> Vec<f64> {
    multiples.rev().map(|i| (i * stride).saturating_add(offset) as f64).collect()
}

/// `np.arange(end, 0, -stride).round() - 1`, without the timestep -1.
///
/// diffusers visits that one where a last entry rounds to 0: with 61 of 1000 steps, for one, since numpy's `arange` is
/// then an entry too long.
fn trailing(end: usize, stride: f64) -> Vec<f64> {
    let end = end as f64;
    // numpy measures the stride between the first two entries.
    let delta = (end - stride) - end;
    (0..=u32::MAX)
        .map(|i| (end + f64::from(i) * delta).round_ties_even() - 1.0)
        .take_while(|timestep| *timestep >= 0.0)
        .collect()
}

/// The whole training timestep at or below `timestep`.
#[expect(clippy::cast_sign_loss, reason = "timesteps are not negative")]
pub(crate) fn index(timestep: f64) -> usize {
    timestep as usize
}

fn check_range(config: &SchedulerConfig, timesteps: Vec<f64>, steps: usize) -> Result<Vec<f64>, SchedulerError> {
    let last = config.num_train_timesteps - 1;
    match timesteps.first() {
        Some(&timestep) if timestep > last as f64 => Err(SchedulerError::TimestepOutOfRange { steps, timestep, last }),
        _ => Ok(timesteps),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spaced(spacing: Spacing, steps: usize) -> Vec<f64> {
        let config = SchedulerConfig::from_json(r#"{"steps_offset": 1}"#).expect("a valid config");
        timesteps(&config, spacing, steps).expect("a valid number of steps")
    }

    // EulerDiscreteScheduler(timestep_spacing=..., steps_offset=1).set_timesteps(n).timesteps
    #[test]
    fn spacings_equal_diffusers() {
        assert_eq!(spaced(Spacing::Linspace, 3), [999.0, 499.5, 0.0]);
        assert_eq!(spaced(Spacing::Leading, 3), [667.0, 334.0, 1.0]);
        assert_eq!(spaced(Spacing::Trailing, 3), [999.0, 666.0, 332.0]);
        assert_eq!(spaced(Spacing::Linspace, 1), [0.0]);
        assert_eq!(spaced(Spacing::Leading, 1), [1.0]);
        assert_eq!(spaced(Spacing::Trailing, 1), [999.0]);
    }

    #[test]
    fn trailing_never_gives_an_extra_timestep() {
        for steps in 1..=1000 {
            let timesteps = spaced(Spacing::Trailing, steps);
            assert_eq!(timesteps.len(), steps);
            assert_eq!(timesteps[0], 999.0);
        }
    }
}
