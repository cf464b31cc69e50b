use ae_settings::FloatType;
use burn::tensor::{DType, Device, FloatDType};

/// What burn and a device say of a float type.
///
/// In a half-precision type too, the softmax of attention and the normalisations are computed in single
/// precision, and so is everything outside the networks: guidance, schedulers, latents.
pub trait BurnFloat {
    /// The burn dtype of this float type.
    fn dtype(self) -> DType;

    /// Whether a device computes in this type.
    fn is_supported_by(&self, device: &Device) -> bool;
}

impl BurnFloat for FloatType {
    fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::BF16 => DType::BF16,
        }
    }

    fn is_supported_by(&self, device: &Device) -> bool {
        let dtype = match self {
            Self::F32 => FloatDType::F32,
            Self::F16 => FloatDType::F16,
            Self::BF16 => FloatDType::BF16,
        };
        device.supports_dtype(dtype)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_computes_in_every_type() {
        assert!(FloatType::ALL.iter().all(|dtype| dtype.is_supported_by(&Device::flex())));
    }
}
