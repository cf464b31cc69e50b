use std::fmt;
use std::str::FromStr;

use super::{DeviceError, DeviceSpec};

/// A device as a person asks for it: one by its name, or `auto`, the best that there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The best that this build and machine have.
    #[default]
    Auto,
    /// This one.
    Named(DeviceSpec),
}

impl DeviceChoice {
    const AUTO: &str = "auto";
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str(Self::AUTO),
            Self::Named(spec) => spec.fmt(f),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == Self::AUTO { Ok(Self::Auto) } else { text.parse().map(Self::Named) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_a_choice_and_no_device() {
        assert_eq!("auto".parse(), Ok(DeviceChoice::Auto));
        assert!("auto".parse::<DeviceSpec>().is_err());
        for text in ["auto", "cpu", "cuda:1", "wgpu"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        for text in ["auto:0", "Auto", "", "gpu"] {
            assert!(text.parse::<DeviceChoice>().is_err(), "{text}");
        }
    }
}
