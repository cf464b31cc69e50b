use std::collections::BTreeMap;
use std::ops::Range;

use crate::GuidanceError;

/// When an objective shifts the latents, and how far (paper, algorithm 1).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// Indices of the denoising steps with a latent update.
    pub altered_steps: Range<usize>,
    /// Step size of every update.
    pub step_size: StepSize,
    /// Indices of the denoising steps that begin with a refinement, also outside the altered steps.
    pub refinement: BTreeMap<usize, Refinement>,
}

/// The factor of the gradient in a latent update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StepSize {
    /// `scale * sqrt(r)`, with `r` on a line from the first to the second value of `range` over all steps (Attend-and-Excite).
    Decay {
        /// Step size where `r` is 1.
        scale: f64,
        /// The ends of the line.
        range: (f64, f64),
    },
    /// The same at every step.
    Constant(f64),
    /// On a line from `from` at the first of all steps to `to` at the last.
    Linear {
        /// Step size at the first step.
        from: f64,
        /// Step size at the last step.
        to: f64,
    },
}

/// How many updates a refinement makes of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refinement {
    /// As many as it takes to satisfy the objective; only the observer can end it earlier.
    UntilSatisfied,
    /// The same, but no more than this.
    AtMost(usize),
    /// This many, satisfied or not.
    Exactly(usize),
}

impl Plan {
    /// Updates of this size at these steps, without refinement.
    pub fn new(altered_steps: Range<usize>, step_size: StepSize) -> Self {
        Self { altered_steps, step_size, refinement: BTreeMap::new() }
    }

    /// With refinement at these steps.
    #[must_use]
    pub fn with_refinement(mut self, refinement: impl IntoIterator<Item = (usize, Refinement)>) -> Self {
        self.refinement = refinement.into_iter().collect();
        self
    }

    /// Whether anything happens at denoising step `step`.
    pub fn is_active(&self, step: usize) -> bool {
        self.altered_steps.contains(&step) || self.refinement.contains_key(&step)
    }

    /// # Errors
    ///
    /// [`GuidanceError::Setting`] for a step size that is negative or not finite.
    pub(crate) fn check(&self) -> Result<(), GuidanceError> {
        let ends = match self.step_size {
            StepSize::Decay { scale, range: (from, to) } => [scale, from, to],
            StepSize::Constant(size) => [size; 3],
            StepSize::Linear { from, to } => [from, to, to],
        };
        match ends.into_iter().find(|size| !(size.is_finite() && *size >= 0.0)) {
            Some(size) => Err(GuidanceError::Setting {
                name: "step size",
                value: crate::error::number(size),
                expected: "a number that is not negative",
            }),
            None => Ok(()),
        }
    }
}

impl StepSize {
    /// The factor at denoising step `index` of `count`.
    pub fn at(self, index: usize, count: usize) -> f64 {
        let fraction = if count > 1 { index as f64 / (count - 1) as f64 } else { 0.0 };
        match self {
            Self::Decay { scale, range: (from, to) } => scale * (from + (to - from) * fraction).sqrt(),
            Self::Constant(size) => size,
            Self::Linear { from, to } => from + (to - from) * fraction,
        }
    }
}

impl Refinement {
    /// The largest number of updates of one image, if there is one.
    pub(crate) fn limit(self) -> Option<usize> {
        match self {
            Self::UntilSatisfied => None,
            Self::AtMost(limit) | Self::Exactly(limit) => Some(limit),
        }
    }

    /// Whether an image in this state is updated, as far as the limit allows.
    pub(crate) fn wants(self, satisfied: bool) -> bool {
        !satisfied || matches!(self, Self::Exactly(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `20 * np.sqrt(np.linspace(1.0, 0.5, 51))[[0, 10, 20, 50]]`
    #[test]
    fn decaying_step_sizes_are_the_papers() {
        let step_size = StepSize::Decay { scale: 20.0, range: (1.0, 0.5) };
        for (step, expected) in [(0, 20.0), (10, 18.973_665_96), (20, 17.888_543_82), (50, 14.142_135_62)] {
            assert!((step_size.at(step, 51) - expected).abs() < 1e-6);
        }
        assert!((step_size.at(0, 1) - 20.0).abs() < 1e-12);
    }

    #[test]
    fn a_line_and_a_constant_are_what_they_say() {
        for (step, expected) in [(0, 18.0), (5, 11.5), (10, 5.0)] {
            assert!((StepSize::Linear { from: 18.0, to: 5.0 }.at(step, 11) - expected).abs() < 1e-12);
            assert!((StepSize::Constant(20.0).at(step, 11) - 20.0).abs() < 1e-12);
        }
    }

    #[test]
    fn a_step_size_that_cannot_be_is_refused() {
        for broken in [StepSize::Constant(f64::NAN), StepSize::Linear { from: 1.0, to: -2.0 }] {
            let error = Plan::new(0..1, broken).check().unwrap_err().to_string();
            assert!(error.starts_with("step size is "), "{error}");
        }
        assert_eq!(Plan::new(0..1, StepSize::Constant(0.0)).check(), Ok(()));
    }
}
