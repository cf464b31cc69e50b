use burn::backend::{CubeDevice, DispatchDevice};
use burn::tensor::Device;

use super::DeviceKind;

/// What plays a device, as far as its runtime tells without starting it.
pub(super) fn kind(device: &Device) -> DeviceKind {
    match device.as_dispatch() {
        #[cfg(feature = "wgpu")]
        DispatchDevice::Cube(CubeDevice::Wgpu(device)) => {
            use burn::cubecl::wgpu::WgpuDeviceKind;
            match device.kind {
                WgpuDeviceKind::DiscreteGpu(_) => DeviceKind::Discrete,
                WgpuDeviceKind::IntegratedGpu(_) => DeviceKind::Integrated,
                WgpuDeviceKind::Cpu => DeviceKind::Software,
                _ => DeviceKind::Other,
            }
        }
        // Those of CUDA and ROCm.
        DispatchDevice::Cube(_) => DeviceKind::Discrete,
        #[allow(unreachable_patterns, reason = "there may be no other")]
        _ => DeviceKind::Processor,
    }
}

/// The adapter of a device in the words of its runtime: graphics API and driver, or the number that the runtime counts it by; or
/// why it cannot be used.
#[cfg_attr(not(feature = "wgpu"), expect(clippy::unnecessary_wraps, reason = "only wgpu asks the driver here"))]
pub(super) fn adapter(device: &CubeDevice) -> Result<Option<String>, String> {
    Ok(match device {
        #[cfg(feature = "cuda")]
        CubeDevice::Cuda(burn_cuda::CudaDevice { index }) => Some(format!("CUDA, device {index}{}", version("nvidia"))),
        #[cfg(feature = "rocm")]
        CubeDevice::Hip(burn_rocm::RocmDevice { index }) => Some(format!("ROCm, device {index}{}", version("amdgpu"))),
        #[cfg(feature = "wgpu")]
        CubeDevice::Wgpu(device) => Some(start(device)?),
        _ => None,
    })
}

/// The version of a driver that is a module of Linux; nothing elsewhere, and of one that comes with the kernel.
#[cfg(any(feature = "cuda", feature = "rocm"))]
fn version(module: &str) -> String {
    let version = std::fs::read_to_string(format!("/sys/module/{module}/version"));
    version.map(|version| format!(", driver {}", version.trim())).unwrap_or_default()
}

/// Starts wgpu on a device.
#[cfg(feature = "wgpu")]
fn start(device: &burn_wgpu::WgpuDevice) -> Result<String, String> {
    use burn_wgpu::graphics::AutoGraphicsApi;
    use burn_wgpu::{RuntimeOptions, try_init_setup, wgpu};

    let options = RuntimeOptions::try_default().map_err(|error| error.to_string())?;
    let setup = try_init_setup::<AutoGraphicsApi>(device, options).map_err(|error| error.to_string())?;
    let info = setup.adapter.get_info();
    // cubecl-spirv 0.11.3 gives shared memory the wrong type where VK_KHR_workgroup_memory_explicit_layout is
    // missing (`ops/memory.rs:201`): SwiftShader then computes nonsense, lavapipe crashes. See docs/gpu.md.
    if cfg!(feature = "vulkan") && (info.backend, info.device_type) == (wgpu::Backend::Vulkan, wgpu::DeviceType::Cpu) {
        let name = info.name;
        return Err(format!(
            "{name} is a processor that plays a GPU, for which the shaders of the feature 'vulkan' are wrong; \
             a build with the feature 'wgpu' alone is right on it"
        ));
    }
    let words = [format!("{:?}", info.backend), info.driver, info.driver_info];
    Ok(words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", "))
}
