use std::fmt;
use std::str::FromStr;

use super::{Backend, DeviceError};

/// A device as a person writes it: `cpu`, `cuda`, `cuda:1`, `wgpu:0`, `vulkan`, `metal:0`.
///
/// Without an index it is the first of its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceSpec {
    backend: Backend,
    index: Option<usize>,
}

impl DeviceSpec {
    /// The CPU.
    pub const CPU: Self = Self { backend: Backend::Cpu, index: None };

    /// The device at `index` of a backend, or its first.
    pub fn new(backend: Backend, index: Option<usize>) -> Self {
        Self { backend, index }
    }

    /// The family of the device.
    pub fn backend(self) -> Backend {
        self.backend
    }

    /// Which of the backend's devices, the first being 0.
    pub fn index(self) -> usize {
        self.index.unwrap_or(0)
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
        let backend = Backend::ALL.iter().copied().find(|b| b.name() == name).ok_or_else(unknown)?;
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
        for text in ["cpu", "cuda", "cuda:0", "cuda:3", "rocm:1", "wgpu:1", "vulkan", "metal:0"] {
            assert_eq!(text.parse::<DeviceSpec>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_device_is_refused_by_name() {
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:1:2", "cpu:0", "CUDA", "cuda:99999999999999999999"] {
            let error = text.parse::<DeviceSpec>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("'{text}' is not a device")), "{error}");
        }
    }
}
