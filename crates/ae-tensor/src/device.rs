use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

/// A family of devices, compiled in by the cargo feature of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// burn's portable CPU backend, flex.
    Cpu,
    /// NVIDIA GPUs through CUDA.
    Cuda,
    /// Any GPU through wgpu, graphics API chosen by wgpu.
    Wgpu,
    /// Any GPU through Vulkan.
    Vulkan,
    /// Apple GPUs through Metal.
    Metal,
}

impl Backend {
    /// Every backend, compiled in or not.
    pub const ALL: [Self; 5] = [Self::Cpu, Self::Cuda, Self::Wgpu, Self::Vulkan, Self::Metal];

    /// Its name on the command line, which is also its cargo feature.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
        }
    }

    /// Whether this build holds the backend.
    pub fn is_compiled(self) -> bool {
        match self {
            Self::Cpu => cfg!(feature = "cpu"),
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Metal => cfg!(feature = "metal"),
        }
    }

    fn compiled() -> String {
        let names: Vec<_> = Self::ALL.into_iter().filter(|b| b.is_compiled()).map(Self::name).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
}

/// A device as a person writes it: `cpu`, `cuda`, `cuda:1`, `wgpu:0`, `vulkan`, `metal:0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceSpec {
    backend: Backend,
    index: Option<usize>,
}

/// A device that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The text is no device.
    #[error("'{text}' is not a device: expected cpu, cuda[:n], wgpu[:n], vulkan[:n] or metal[:n]")]
    Unknown {
        /// What was written.
        text: String,
    },
    /// The backend is not part of this build.
    #[error(
        "device '{spec}' is not compiled in (this build has: {compiled}); \
         rebuild with the cargo feature '{feature}', e.g. `cargo xtask generate --backend {feature}`"
    )]
    NotCompiled {
        /// What was asked for.
        spec: DeviceSpec,
        /// The cargo feature that brings it.
        feature: &'static str,
        /// The backends of this build.
        compiled: String,
    },
    /// The index is beyond the devices of the machine.
    #[error("device '{spec}' does not exist: {found} {backend} device(s) found on this machine", backend = spec.backend.name())]
    NoSuchDevice {
        /// What was asked for.
        spec: DeviceSpec,
        /// How many devices that backend sees.
        found: usize,
    },
}

impl DeviceSpec {
    /// The CPU.
    pub const CPU: Self = Self { backend: Backend::Cpu, index: None };

    /// The family of the device.
    pub fn backend(self) -> Backend {
        self.backend
    }

    /// Opens the device.
    ///
    /// # Errors
    ///
    /// [`DeviceError::NotCompiled`] when the backend's cargo feature is off,
    /// [`DeviceError::NoSuchDevice`] when the index is beyond what the machine has.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self.backend {
            #[cfg(feature = "cpu")]
            Backend::Cpu => Ok(Device::flex()),
            #[cfg(feature = "cuda")]
            Backend::Cuda => self.nth(burn::tensor::DeviceType::Cuda),
            #[cfg(feature = "wgpu")]
            Backend::Wgpu => self.nth(burn::tensor::DeviceType::Wgpu),
            #[cfg(feature = "vulkan")]
            Backend::Vulkan => self.nth(burn::tensor::DeviceType::Vulkan),
            #[cfg(feature = "metal")]
            Backend::Metal => self.nth(burn::tensor::DeviceType::Metal),
            #[allow(unreachable_patterns, reason = "every arm above may be compiled in")]
            backend => {
                Err(DeviceError::NotCompiled { spec: self, feature: backend.name(), compiled: Backend::compiled() })
            }
        }
    }

    #[cfg(any(feature = "cuda", feature = "wgpu", feature = "vulkan", feature = "metal"))]
    fn nth(self, kind: burn::tensor::DeviceType) -> Result<Device, DeviceError> {
        let devices: Vec<Device> = Device::enumerate(kind).into_iter().collect();
        let found = devices.len();
        devices.into_iter().nth(self.index.unwrap_or(0)).ok_or(DeviceError::NoSuchDevice { spec: self, found })
    }
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.backend.name())?;
        match self.index {
            Some(index) => write!(f, ":{index}"),
            None => Ok(()),
        }
    }
}

impl FromStr for DeviceSpec {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || DeviceError::Unknown { text: text.to_owned() };
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => (name, Some(index.parse().map_err(|_| unknown())?)),
            None => (text, None),
        };
        let backend = Backend::ALL.into_iter().find(|b| b.name() == name).ok_or_else(unknown)?;
        if backend == Backend::Cpu && index.is_some() {
            return Err(unknown());
        }
        Ok(Self { backend, index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_parses_to_itself() {
        for text in ["cpu", "cuda", "cuda:0", "cuda:3", "wgpu:1", "vulkan", "metal:0"] {
            assert_eq!(text.parse::<DeviceSpec>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_device_is_refused_by_name() {
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:1:2", "cpu:0", "CUDA"] {
            let error = text.parse::<DeviceSpec>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("'{text}' is not a device")), "{error}");
        }
    }

    #[test]
    fn a_backend_outside_the_build_says_how_to_get_it() {
        for backend in Backend::ALL.into_iter().filter(|b| !b.is_compiled()) {
            let error = DeviceSpec { backend, index: None }.open().unwrap_err().to_string();
            assert!(error.contains(&format!("--backend {}", backend.name())), "{error}");
            assert!(error.contains("this build has"), "{error}");
        }
    }

    #[cfg(feature = "cpu")]
    #[test]
    fn the_cpu_opens() {
        assert!(!DeviceSpec::CPU.open().unwrap().is_autodiff());
    }
}
