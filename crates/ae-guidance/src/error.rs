/// A number as errors show it: none has more digits than can be read.
pub(crate) fn number(value: f64) -> String {
    /// A little more than those that tell two numbers apart.
    const LONGEST: usize = 24;
    let plain = value.to_string();
    if plain.len() > LONGEST { format!("{value:e}") } else { plain }
}

/// The error of a setting whose value is not valid.
pub(crate) fn check(
    name: &'static str,
    value: f64,
    is_valid: bool,
    expected: &'static str,
) -> Result<(), GuidanceError> {
    if is_valid { Ok(()) } else { Err(GuidanceError::Setting { name, value: number(value), expected }) }
}

/// Guidance that cannot be set up or carried on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GuidanceError {
    /// A setting outside its range.
    #[error("{name} is {value}: expected {expected}")]
    Setting {
        /// The setting, by its command line name.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
    /// No subject to excite.
    #[error("no subject is given: name at least one word or token of the prompt")]
    NoSubjects,
    /// A subject token that the loss never sees.
    #[error("token {position} cannot be a subject: the loss sees positions {first} to {last}")]
    Token {
        /// The position asked for.
        position: usize,
        /// First position that remains after dropping `<sot>`.
        first: usize,
        /// Last position that remains.
        last: usize,
    },
    /// A token that stands in two words or groups.
    #[error("token {position} belongs to two words or groups: name it once")]
    SharedToken {
        /// Its position.
        position: usize,
    },
    /// Nothing in the prompt that the objective could compare.
    #[error("there is nothing to compare: the prompt needs a modifier with its noun, or more than one thing")]
    NothingToCompare,
    /// The maps are too small for the smoothing kernel.
    #[error(
        "attention maps of {rows}x{cols} are too small for a smoothing kernel of {kernel_size}: \
         use a larger image, a smaller kernel or no smoothing"
    )]
    MapTooSmall {
        /// Rows of the maps.
        rows: usize,
        /// Columns of the maps.
        cols: usize,
        /// Side of the kernel.
        kernel_size: usize,
    },
    /// The loss is NaN or infinite.
    #[error(
        "the guidance loss at step {step} is not finite: the scale factor may be too large, or the weights damaged"
    )]
    NotFinite {
        /// Index of the denoising step.
        step: usize,
    },
    /// The device failed.
    #[error(transparent)]
    Device(#[from] ae_tensor::ComputeError),
    /// The observer ended the run.
    #[error("interrupted")]
    Interrupted,
}
