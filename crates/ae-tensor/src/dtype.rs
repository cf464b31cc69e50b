use std::fmt;
use std::str::FromStr;

use burn::tensor::DType;

/// The floating-point type of weights and activations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FloatType {
    /// IEEE single precision, the type in which parity with the reference is proven.
    #[default]
    F32,
}

impl FloatType {
    /// The burn dtype of this float type.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
        }
    }
}

impl fmt::Display for FloatType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
        })
    }
}

/// A float type that does not exist here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown float type '{0}': expected f32")]
pub struct FloatTypeError(String);

impl FromStr for FloatType {
    type Err = FloatTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "f32" => Ok(Self::F32),
            other => Err(FloatTypeError(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_its_own_display_and_names_what_it_refuses() {
        assert_eq!(FloatType::F32.to_string().parse(), Ok(FloatType::F32));
        let error = "f8".parse::<FloatType>().unwrap_err();
        assert_eq!(error.to_string(), "unknown float type 'f8': expected f32");
    }
}
