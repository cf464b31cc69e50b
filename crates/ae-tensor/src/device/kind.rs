use super::open::kinds;
use super::{Backend, DeviceInfo, DeviceSpec};

/// What plays a device, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DeviceKind {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU in the memory of the processor.
    Integrated,
    /// A GPU that a host lends, or one of which its driver says no more.
    Other,
    /// The processor, as itself.
    Processor,
    /// The processor in the part of a GPU: lavapipe, SwiftShader, WARP.
    Software,
}

/// Every device of every backend of this build, and what plays it. None is brought up for that.
pub fn listed_devices() -> Vec<(DeviceSpec, DeviceKind)> {
    let of = |backend: Backend| {
        kinds(backend)
            .into_iter()
            .enumerate()
            .map(move |(index, kind)| (DeviceSpec::new(backend, (backend != Backend::Cpu).then_some(index)), kind))
    };
    Backend::ALL.iter().copied().flat_map(of).collect()
}

/// The GPUs among devices that may be taken unasked, the best first: those of CUDA and ROCm, then those of graphics APIs, discrete before
/// integrated. A processor that plays a GPU is none of them.
pub fn by_preference(listed: &[(DeviceSpec, DeviceKind)]) -> Vec<DeviceSpec> {
    let is_gpu = |kind: DeviceKind| kind < DeviceKind::Processor;
    let mut gpus: Vec<_> = listed.iter().copied().filter(|(_, kind)| is_gpu(*kind)).collect();
    gpus.sort_by_key(|(spec, kind)| {
        let way = match spec.backend() {
            Backend::Cuda | Backend::Rocm => 0,
            Backend::Metal | Backend::Vulkan => 2,
            _ => 3,
        };
        // The maker's own way comes before what plays the device.
        (way > 0, *kind, way, spec.backend(), spec.index())
    });
    gpus.into_iter().map(|(spec, _)| spec).collect()
}

impl DeviceInfo {
    /// Whether the device is, by its name or that of its driver, a processor that plays a GPU. Not every such driver says so by its
    /// [kind](DeviceKind).
    pub fn is_software(&self) -> bool {
        const NAMES: [&str; 7] =
            ["llvmpipe", "lavapipe", "softpipe", "swrast", "swiftshader", "basic render driver", "warp"];
        let names = [Some(&self.name), self.driver.as_ref()];
        let is = |text: &String| NAMES.iter().any(|name| text.to_lowercase().contains(name));
        names.into_iter().flatten().any(is)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> DeviceSpec {
        text.parse().unwrap()
    }

    fn order(listed: &[(&str, DeviceKind)]) -> Vec<String> {
        let listed: Vec<_> = listed.iter().map(|(text, kind)| (spec(text), *kind)).collect();
        by_preference(&listed).iter().map(DeviceSpec::to_string).collect()
    }

    #[test]
    fn the_best_gpu_comes_first_and_no_processor_at_all() {
        use DeviceKind::{Discrete, Integrated, Other, Processor, Software};
        assert!(order(&[("cpu", Processor), ("wgpu:0", Software), ("vulkan:1", Software)]).is_empty());
        let all = [
            ("cpu", Processor),
            ("rocm:0", Discrete),
            ("wgpu:0", Integrated),
            ("wgpu:1", Discrete),
            ("wgpu:2", Other),
            ("wgpu:3", Software),
            ("vulkan:0", Integrated),
            ("vulkan:1", Discrete),
            ("cuda:1", Discrete),
            ("cuda:0", Discrete),
        ];
        assert_eq!(order(&all), ["cuda:0", "cuda:1", "rocm:0", "vulkan:1", "wgpu:1", "vulkan:0", "wgpu:0", "wgpu:2"]);
        // What CUDA takes is CUDA's, also where the GPU is part of a processor.
        assert_eq!(order(&[("wgpu:0", Discrete), ("cuda:0", Integrated)]), ["cuda:0", "wgpu:0"]);
        assert_eq!(order(&[("wgpu:0", Integrated), ("metal:0", Integrated)]), ["metal:0", "wgpu:0"]);
    }

    #[test]
    fn a_processor_that_plays_a_gpu_is_known_by_its_names() {
        let info = |name: &str, driver: &str| DeviceInfo {
            spec: spec("wgpu:0"),
            name: name.to_owned(),
            driver: Some(driver.to_owned()),
            memory: None,
            largest_allocation: None,
            float_types: Vec::new(),
        };
        for (name, driver) in [
            ("llvmpipe (LLVM 15.0.6, 256 bits)", "Vulkan, llvmpipe, Mesa 22.3.6"),
            ("SwiftShader Device (LLVM 10.0.0)", "Vulkan, SwiftShader driver"),
            ("Microsoft Basic Render Driver", "Dx12"),
            ("unknown", "Gl, softpipe"),
        ] {
            assert!(info(name, driver).is_software(), "{name}");
        }
        for (name, driver) in [
            ("NVIDIA GeForce RTX 4090", "Vulkan, NVIDIA, 550.54.14"),
            ("AMD Radeon RX 7900 XTX (RADV NAVI31)", "Vulkan, radv, Mesa 24.0.0"),
            ("Apple M2", "Metal"),
            ("Intel(R) Arc(tm) A770", "Vulkan, Intel open-source Mesa driver"),
        ] {
            assert!(!info(name, driver).is_software(), "{name}");
        }
    }

    #[test]
    fn what_is_listed_is_what_can_be_described() {
        let listed: Vec<_> = listed_devices().into_iter().map(|(spec, _)| spec).collect();
        let described: Vec<_> = crate::devices().into_iter().map(|(spec, _)| spec).collect();
        assert_eq!(listed, described);
    }
}
