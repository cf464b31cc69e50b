//! What can be wrong with a scheduler's configuration or step count.

use ae_config::ConfigError;

use crate::SchedulerKind;

/// Why a scheduler cannot be configured or built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SchedulerError {
    /// The text is not a JSON object, or a field has a value of the wrong type or outside its range.
    #[error(transparent)]
    Config(#[from] ConfigError),

    /// The config does not say which class wrote it.
    #[error("the scheduler config has no `_class_name`: add it, or choose a scheduler ({})", scheduler_names())]
    MissingClass,

    /// The config belongs to a diffusers class that has no counterpart here.
    #[error(
        "`{class_name}` is not supported{}: choose another scheduler for this model ({})",
        reason.map(|reason| format!(" ({reason})")).unwrap_or_default(),
        scheduler_names()
    )]
    UnknownClass {
        /// The config's `_class_name`.
        class_name: String,
        /// Why not, where it is known.
        reason: Option<&'static str>,
    },

    /// An option would change the result and is not implemented.
    #[error(
        "{kind} does not support `{option}` = {value}: set it to {supported}, or choose another \
         scheduler"
    )]
    Unsupported {
        /// The sampler that was asked for.
        kind: SchedulerKind,
        /// Name of the option, as in `scheduler_config.json`.
        option: &'static str,
        /// Its value, as JSON.
        value: String,
        /// The values that are supported, as JSON.
        supported: &'static str,
    },

    /// All timesteps would be left out.
    #[error("of {steps} inference steps the first {first} are left out: use more steps, or leave out fewer")]
    NoStepsLeft {
        /// The number of inference steps.
        steps: usize,
        /// How many of them were to be left out.
        first: usize,
    },

    /// No denoising step was asked for.
    #[error("the number of inference steps is 0: use at least 1")]
    ZeroSteps,

    /// More denoising steps than training timesteps.
    #[error(
        "{steps} inference steps exceed the {num_train_timesteps} training timesteps: use at most \
         {num_train_timesteps}"
    )]
    TooManySteps {
        /// Steps that were asked for.
        steps: usize,
        /// The config's `num_train_timesteps`.
        num_train_timesteps: usize,
    },

    /// More denoising steps than the model was distilled with.
    #[error(
        "{kind} takes at most the {original_inference_steps} steps of `original_inference_steps`: use fewer than {steps}, or \
         another scheduler"
    )]
    TooManyDistilledSteps {
        /// The sampler that was asked for.
        kind: SchedulerKind,
        /// Steps that were asked for.
        steps: usize,
        /// The config's `original_inference_steps`.
        original_inference_steps: usize,
    },

    /// The timestep spacing leaves the range the model was trained on.
    #[error(
        "{steps} inference steps reach timestep {timestep}, outside the trained range \
         0..={last}: use fewer steps or a smaller `steps_offset`"
    )]
    TimestepOutOfRange {
        /// Steps that were asked for.
        steps: usize,
        /// The offending timestep.
        timestep: f64,
        /// The last trained timestep.
        last: usize,
    },

    /// The update formula divides by zero: the schedule has a zero or a repeated noise level.
    #[error(
        "{kind} has no finite update at step {step} of {steps}: the noise schedule has a zero or \
         repeated noise level there; use fewer steps or another scheduler"
    )]
    Degenerate {
        /// The sampler that was asked for.
        kind: SchedulerKind,
        /// Index of the step.
        step: usize,
        /// Length of the schedule.
        steps: usize,
    },
}

/// All names, for messages: `pndm, ddim, ...`.
fn scheduler_names() -> String {
    SchedulerKind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}
