//! What all GPU backends share: finding devices, bringing them up, asking what they are.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use burn::backend::DispatchDevice;
use burn::tensor::{Device, DeviceType};

use super::adapter::adapter;
use super::opened::Opened;
use super::{Backend, DeviceError, DeviceSpec};
use crate::ComputeError;

type Outcomes = BTreeMap<(Backend, usize), Result<Opened, DeviceError>>;

/// The devices this process has tried to open: a runtime is registered once and then shared.
static OPENED: Mutex<Outcomes> = Mutex::new(BTreeMap::new());

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
    if let Some(outcome) = opened.get(&key) {
        return outcome.clone();
    }
    let devices = found(spec.backend());
    let count = devices.len();
    let device = devices.into_iter().nth(spec.index()).ok_or(match count {
        0 => DeviceError::NoDevice { spec },
        found => DeviceError::NoSuchDevice { spec, found },
    })?;
    let outcome = match bring_up(&device) {
        Ok(driver) => Ok(Opened { device, driver }),
        Err(reason) => Err(DeviceError::Unusable { spec, reason }),
    };
    opened.insert(key, outcome.clone());
    keep_tuning_apart(&opened);
    outcome
}

/// Gives every set of devices and drivers a cache of its own for tuned kernels.
///
/// cubecl files what it tuned under the number of a device alone: after a change of card or driver it takes kernels that
/// the new one may not have, and panics (cubecl-runtime 0.11.3, `tune/tune_cache.rs:162` and `tune/local.rs:224`).
fn keep_tuning_apart(outcomes: &Outcomes) {
    // Where std changes the algorithm the kernels are tuned once more.
    let mut hasher = DefaultHasher::new();
    for (key, outcome) in outcomes {
        if let Ok(Opened { device, driver }) = outcome {
            let name = Properties::of(device).map(|properties| properties.name);
            (key, name, driver).hash(&mut hasher);
        }
    }
    burn::cubecl::environment::activate(format!("ae-{:016x}", hasher.finish()));
}

/// Starts the runtime of a device; returns its adapter, or why it cannot be used.
fn bring_up(device: &Device) -> Result<Option<String>, String> {
    let adapter = match device.as_dispatch() {
        DispatchDevice::Cube(device) => adapter(device)?,
        _ => None,
    };
    // The CUDA and ROCm runtimes start at their first use, and panic where a driver refuses.
    match catch_unwind(AssertUnwindSafe(|| device.sync())) {
        Ok(Ok(())) => Ok(adapter),
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
