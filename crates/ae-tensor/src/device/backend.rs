/// A family of devices, compiled in by the cargo feature of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Backend {
    /// burn's portable CPU backend, flex.
    Cpu,
    /// NVIDIA GPUs through CUDA.
    Cuda,
    /// AMD GPUs through ROCm (HIP).
    Rocm,
    /// Any GPU through wgpu, graphics API chosen by wgpu.
    Wgpu,
    /// Any GPU through Vulkan, with shaders in SPIR-V.
    Vulkan,
    /// Apple GPUs through Metal, with shaders in its own language.
    Metal,
}

impl Backend {
    /// Every backend, compiled in or not.
    pub const ALL: &'static [Self] = &[Self::Cpu, Self::Cuda, Self::Rocm, Self::Wgpu, Self::Vulkan, Self::Metal];

    /// Its name on the command line, which is also its cargo feature.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Rocm => "rocm",
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
            Self::Rocm => cfg!(feature = "rocm"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Metal => cfg!(feature = "metal"),
        }
    }

    /// What a machine needs so that the backend finds a device.
    pub fn needs(self) -> &'static str {
        match self {
            Self::Cpu => "nothing",
            Self::Cuda => "an NVIDIA GPU and its driver (`nvidia-smi` lists them)",
            Self::Rocm => "an AMD GPU and ROCm (`rocminfo` lists them)",
            Self::Wgpu => "a GPU driver for Vulkan, Metal or DirectX 12",
            Self::Vulkan => "a GPU driver for Vulkan (`vulkaninfo --summary` lists them)",
            Self::Metal => "a Mac with a GPU",
        }
    }

    /// The names of the backends of this build.
    pub(super) fn compiled() -> String {
        let names: Vec<_> = Self::ALL.iter().filter(|b| b.is_compiled()).map(|b| b.name()).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
}
