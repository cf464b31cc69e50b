use std::fmt;
use std::str::FromStr;

use burn::tensor::{DType, Device, FloatDType};

/// The floating-point type of weights and activations.
///
/// In a half-precision type too, the softmax of attention and the normalisations are computed in single
/// precision, and so is everything outside the networks: guidance, schedulers, latents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FloatType {
    /// IEEE single precision, the type in which parity with the reference is proven.
    #[default]
    F32,
    /// IEEE half precision: 11 bits of precision, numbers up to 65 504.
    F16,
    /// The range of single precision with 8 bits of precision.
    BF16,
}

impl FloatType {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::F32, Self::F16, Self::BF16];

    /// The burn dtype of this float type.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::BF16 => DType::BF16,
        }
    }

    /// Whether a device computes in this type.
    pub fn is_supported_by(self, device: &Device) -> bool {
        let dtype = match self {
            Self::F32 => FloatDType::F32,
            Self::F16 => FloatDType::F16,
            Self::BF16 => FloatDType::BF16,
        };
        device.supports_dtype(dtype)
    }
}

impl fmt::Display for FloatType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
        })
    }
}

/// A float type that does not exist here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown float type '{0}': expected f32, f16 or bf16")]
pub struct FloatTypeError(String);

impl FromStr for FloatType {
    type Err = FloatTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().copied().find(|dtype| dtype.to_string() == text);
        found.ok_or_else(|| FloatTypeError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_its_own_display_and_names_what_it_refuses() {
        for &dtype in FloatType::ALL {
            assert_eq!(dtype.to_string().parse(), Ok(dtype));
        }
        let error = "f8".parse::<FloatType>().unwrap_err();
        assert_eq!(error.to_string(), "unknown float type 'f8': expected f32, f16 or bf16");
    }

    #[test]
    fn the_cpu_computes_in_every_type() {
        assert!(FloatType::ALL.iter().all(|dtype| dtype.is_supported_by(&Device::flex())));
    }
}
