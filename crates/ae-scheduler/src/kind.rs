//! The samplers and their names.

use std::fmt;
use std::str::FromStr;

use crate::SchedulerError;

/// A sampler. Displays as, and parses from, its command line name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SchedulerKind {
    /// `pndm`: PLMS, pseudo linear multistep (diffusers' `PNDMScheduler` with `skip_prk_steps`).
    Pndm,
    /// `ddim`: deterministic DDIM, eta 0 (`DDIMScheduler`).
    Ddim,
    /// `euler`: Euler's method on the probability flow ODE (`EulerDiscreteScheduler`).
    Euler,
    /// `euler-a`: ancestral Euler, draws noise at every step (`EulerAncestralDiscreteScheduler`).
    EulerAncestral,
    /// `dpmpp-2m`: second-order multistep DPM-Solver++ (`DPMSolverMultistepScheduler`).
    DpmSolverMultistep,
}

impl SchedulerKind {
    /// Every sampler, in the order of documentation.
    pub const ALL: &'static [Self] =
        &[Self::Pndm, Self::Ddim, Self::Euler, Self::EulerAncestral, Self::DpmSolverMultistep];

    /// The command line name, such as `euler-a`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pndm => "pndm",
            Self::Ddim => "ddim",
            Self::Euler => "euler",
            Self::EulerAncestral => "euler-a",
            Self::DpmSolverMultistep => "dpmpp-2m",
        }
    }

    /// The name of the diffusers class, as in `_class_name` of `scheduler_config.json`.
    pub const fn class_name(self) -> &'static str {
        match self {
            Self::Pndm => "PNDMScheduler",
            Self::Ddim => "DDIMScheduler",
            Self::Euler => "EulerDiscreteScheduler",
            Self::EulerAncestral => "EulerAncestralDiscreteScheduler",
            Self::DpmSolverMultistep => "DPMSolverMultistepScheduler",
        }
    }

    /// All names, for messages: `pndm, ddim, ...`.
    pub(crate) fn names() -> String {
        Self::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for SchedulerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for SchedulerKind {
    type Err = SchedulerError;

    fn from_str(name: &str) -> Result<Self, SchedulerError> {
        let mut kinds = Self::ALL.iter().copied();
        kinds.find(|kind| kind.name() == name).ok_or_else(|| SchedulerError::UnknownKind { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for &kind in SchedulerKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        assert_eq!(
            "heun".parse::<SchedulerKind>().unwrap_err().to_string(),
            "unknown scheduler `heun`: expected one of pndm, ddim, euler, euler-a, dpmpp-2m"
        );
    }
}
