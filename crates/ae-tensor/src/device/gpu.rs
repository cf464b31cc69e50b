//! What all GPU backends share: finding devices, bringing them up, asking what they are.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use burn::backend::{CubeDevice, DispatchDevice};
use burn::tensor::{Device, DeviceType};

use super::open::Opened;
use super::{Backend, DeviceError, DeviceSpec};
use crate::ComputeError;

/// The devices opened by this process: a runtime is registered once and then shared.
static OPENED: Mutex<BTreeMap<(Backend, usize), Opened>> = Mutex::new(BTreeMap::new());

/// The devices that a backend finds, in their order.
pub(super) fn found(backend: Backend) -> Vec<Device> {
    let kind = match backend {
        #[cfg(feature = "cuda")]
        Backend::Cuda => DeviceType::Cuda,
        #[cfg(feature = "rocm")]
        Backend::Rocm => DeviceType::Rocm,
        #[cfg(feature = "wgpu")]
        Backend::Wgpu => DeviceType::Wgpu,
        #[cfg(feature = "vulkan")]
        Backend::Vulkan => DeviceType::Vulkan,
        #[cfg(feature = "metal")]
        Backend::Metal => DeviceType::Metal,
        _ => return Vec::new(),
    };
    Device::enumerate(kind).into_vec()
}

pub(super) fn open(spec: DeviceSpec) -> Result<Opened, DeviceError> {
    let key = (spec.backend(), spec.index());
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(gpu) = opened.get(&key) {
        return Ok(gpu.clone());
    }
    let devices = found(spec.backend());
    let count = devices.len();
    let device = devices.into_iter().nth(spec.index()).ok_or(match count {
        0 => DeviceError::NoDevice { spec },
        found => DeviceError::NoSuchDevice { spec, found },
    })?;
    let driver = bring_up(&device).map_err(|reason| DeviceError::Unusable { spec, reason })?;
    let gpu = Opened { device, driver };
    opened.insert(key, gpu.clone());
    Ok(gpu)
}

/// Starts the runtime of a device; returns what its driver calls itself, or why it cannot be used.
fn bring_up(device: &Device) -> Result<Option<String>, String> {
    let mut driver = None;
    #[cfg(feature = "wgpu")]
    if let DispatchDevice::Cube(CubeDevice::Wgpu(wgpu)) = device.as_dispatch() {
        use burn::backend::wgpu::graphics::AutoGraphicsApi;
        use burn::backend::wgpu::{RuntimeOptions, try_init_setup};
        let options = RuntimeOptions::try_default().map_err(|error| error.to_string())?;
        let setup = try_init_setup::<AutoGraphicsApi>(wgpu, options).map_err(|error| error.to_string())?;
        let info = setup.adapter.get_info();
        let words = [format!("{:?}", info.backend), info.driver, info.driver_info];
        driver = Some(words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", "));
    }
    // The CUDA and ROCm runtimes start at their first use, and panic where a driver refuses.
    match catch_unwind(AssertUnwindSafe(|| device.sync())) {
        Ok(Ok(())) => Ok(driver),
        Ok(Err(error)) => Err(ComputeError::from(&error).reason().to_owned()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(text.unwrap_or("its runtime gave no reason").to_owned())
        }
    }
}

/// What a device says of itself.
pub(super) struct Properties {
    pub(super) name: String,
    /// In bytes.
    pub(super) memory: Option<u64>,
    /// In bytes.
    pub(super) largest_allocation: u64,
}

impl Properties {
    /// None for the CPU.
    pub(super) fn of(device: &Device) -> Option<Self> {
        let DispatchDevice::Cube(cube) = device.as_dispatch() else { return None };
        let client = cube.client();
        let properties = client.properties();
        Some(Self {
            name: properties.identity.name.clone(),
            memory: properties.memory.max_memory(),
            largest_allocation: properties.memory.max_page_size,
        })
    }
}
