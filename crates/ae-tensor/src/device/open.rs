use burn::tensor::Device;

use super::opened::Opened;
use super::{Backend, DeviceError, DeviceKind, DeviceSpec};

impl DeviceSpec {
    /// Opens the device.
    ///
    /// # Errors
    ///
    /// [`DeviceError::NotCompiled`] when the backend's cargo feature is off, [`DeviceError::NoDevice`] and
    /// [`DeviceError::NoSuchDevice`] when the machine has no such device, [`DeviceError::Unusable`] when its driver
    /// fails.
    pub fn open(self) -> Result<Device, DeviceError> {
        open(self).map(|opened| opened.device)
    }
}

pub(super) fn open(spec: DeviceSpec) -> Result<Opened, DeviceError> {
    match spec.backend() {
        #[cfg(feature = "cpu")]
        Backend::Cpu => Ok(Opened { device: Device::flex(), driver: Some("burn-flex".to_owned()) }),
        #[cfg(feature = "gpu")]
        backend if backend.is_compiled() => super::gpu::open(spec),
        #[allow(unreachable_patterns, reason = "every arm above may be compiled in")]
        backend => Err(DeviceError::NotCompiled { spec, feature: backend.name(), compiled: Backend::compiled() }),
    }
}

/// The devices that a backend finds on this machine, in their order.
pub(super) fn kinds(backend: Backend) -> Vec<DeviceKind> {
    match backend {
        Backend::Cpu => vec![DeviceKind::Processor; usize::from(backend.is_compiled())],
        #[cfg(feature = "gpu")]
        gpu => super::gpu::found(gpu).iter().map(super::adapter::kind).collect(),
        #[cfg(not(feature = "gpu"))]
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_outside_the_build_says_how_to_get_it() {
        for backend in Backend::ALL.iter().copied().filter(|b| !b.is_compiled()) {
            let error = DeviceSpec::new(backend, None).open().unwrap_err().to_string();
            assert!(error.contains(&format!("cargo feature '{}'", backend.name())), "{error}");
            assert!(error.contains("this build has"), "{error}");
        }
    }

    #[test]
    fn an_index_beyond_the_machine_is_an_error() {
        for backend in Backend::ALL.iter().copied().filter(|b| b.is_compiled() && *b != Backend::Cpu) {
            let error = DeviceSpec::new(backend, Some(4_000_000_000)).open().unwrap_err();
            assert!(matches!(error, DeviceError::NoDevice { .. } | DeviceError::NoSuchDevice { .. }), "{error}");
        }
    }

    #[cfg(feature = "cpu")]
    #[test]
    fn the_cpu_opens() {
        assert!(!DeviceSpec::CPU.open().unwrap().is_autodiff());
    }
}
