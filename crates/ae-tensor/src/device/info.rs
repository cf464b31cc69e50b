#[cfg(feature = "gpu")]
use super::gpu::Properties;
use super::open::open;
use super::opened::Opened;
use super::{DeviceError, DeviceSpec, listed_devices};
use crate::{BurnFloat, FloatType};

/// A device of this machine that this build can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// What to write to get it.
    pub spec: DeviceSpec,
    /// The hardware's own name.
    pub name: String,
    /// Graphics API and driver, where they are known.
    pub driver: Option<String>,
    /// Its memory in bytes, where the driver tells.
    pub memory: Option<u64>,
    /// The largest single allocation in bytes, where there is a limit.
    pub largest_allocation: Option<u64>,
    /// The float types it computes in.
    pub float_types: Vec<FloatType>,
}

/// Every device of every backend of this build; an error in place of one that its driver does not bring up.
pub fn devices() -> Vec<(DeviceSpec, Result<DeviceInfo, DeviceError>)> {
    listed_devices().into_iter().map(|(spec, _)| (spec, DeviceInfo::of(spec))).collect()
}

impl DeviceInfo {
    /// Opens a device and asks what it is.
    ///
    /// # Errors
    ///
    /// As [`DeviceSpec::open`].
    pub fn of(spec: DeviceSpec) -> Result<Self, DeviceError> {
        let Opened { device, driver } = open(spec)?;
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let processor = format!("{} processor, {threads} thread(s)", std::env::consts::ARCH);
        let float_types = FloatType::ALL.iter().copied().filter(|dtype| dtype.is_supported_by(&device)).collect();
        let info = Self { spec, name: processor, driver, memory: None, largest_allocation: None, float_types };
        #[cfg(feature = "gpu")]
        if let Some(Properties { name, memory, largest_allocation }) = Properties::of(&device) {
            return Ok(Self { name, memory, largest_allocation: Some(largest_allocation), ..info });
        }
        Ok(info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "cpu")]
    #[test]
    fn the_cpu_is_always_listed_first() {
        let (spec, info) = devices().swap_remove(0);
        assert_eq!(spec, DeviceSpec::CPU);
        let info = info.unwrap();
        assert!(info.name.contains("thread(s)") && info.float_types == FloatType::ALL, "{info:?}");
    }

    #[test]
    fn every_device_that_is_listed_can_be_opened_again_by_its_name() {
        for (spec, info) in devices() {
            if info.is_ok() {
                assert!(spec.to_string().parse::<DeviceSpec>().unwrap().open().is_ok(), "{spec}");
            }
        }
    }
}
