use ae_settings::FloatType;
use burn::tensor::{DType, Device, FloatDType};

use crate::device::is_cpu;

/// What burn and a device say of a float type.
///
/// In a half-precision type too, the softmax of attention and the normalisations are computed in single
/// precision, and so is everything outside the networks: guidance, schedulers, latents.
pub trait BurnFloat {
    /// The burn dtype of this float type; with quantised weights that of the rest.
    fn dtype(self) -> DType;

    /// Whether a device computes in this type, or on the CPU keeps weights in it. Quantised weights are for the CPU alone.
    fn is_supported_by(&self, device: &Device) -> bool;

    /// The type that networks of this type compute in on a device: on the CPU single precision always, where a half type is one that
    /// weights are kept in.
    #[must_use]
    fn computed_on(self, device: &Device) -> Self;
}

impl BurnFloat for FloatType {
    fn dtype(self) -> DType {
        match self {
            Self::F32 | Self::Q8 => DType::F32,
            Self::F16 => DType::F16,
            Self::BF16 => DType::BF16,
        }
    }

    fn is_supported_by(&self, device: &Device) -> bool {
        let dtype = match self {
            Self::F32 => FloatDType::F32,
            Self::F16 => FloatDType::F16,
            Self::BF16 => FloatDType::BF16,
            Self::Q8 => return is_cpu(device),
        };
        device.supports_dtype(dtype)
    }

    fn computed_on(self, device: &Device) -> Self {
        if is_cpu(device) { Self::F32 } else { self.unquantized() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_keeps_every_type_and_computes_in_one() {
        let device = Device::flex();
        for dtype in FloatType::ALL {
            assert!(dtype.is_supported_by(&device) && dtype.computed_on(&device) == FloatType::F32);
        }
    }
}
