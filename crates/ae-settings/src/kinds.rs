//! The enumerations of the settings.

use crate::choice::choices;

choices! {
    /// How the latents are led.
    "method" Method {
        /// Guidance towards the subjects (Chefer et al. 2023).
        AttendAndExcite = "attend-and-excite",
        /// Plain sampling.
        StableDiffusion = "stable-diffusion",
        /// Values of the noun phrases besides those of the prompt (Feng et al. 2022).
        StructureDiffusion = "structure-diffusion",
        /// The parts of the prompt by themselves, "a cat AND a dog" (Liu et al. 2022).
        ComposableDiffusion = "composable-diffusion",
    }
}

impl Method {
    /// Its name in titles and tables.
    pub const fn title(self) -> &'static str {
        match self {
            Self::AttendAndExcite => "Attend-and-Excite",
            Self::StableDiffusion => "Stable Diffusion",
            Self::StructureDiffusion => "StructureDiffusion",
            Self::ComposableDiffusion => "Composable Diffusion",
        }
    }

    /// The options that only this method reads: names of members of [`Settings`](crate::Settings).
    pub const fn own_options(self) -> &'static [&'static str] {
        match self {
            Self::AttendAndExcite => &["attend_and_excite"],
            Self::StructureDiffusion => &["phrases"],
            Self::StableDiffusion | Self::ComposableDiffusion => &[],
        }
    }
}

choices! {
    /// A sampler.
    "scheduler" SchedulerKind {
        /// PLMS, pseudo linear multistep (diffusers' `PNDMScheduler` with `skip_prk_steps`).
        Pndm = "pndm",
        /// Deterministic DDIM, eta 0 (`DDIMScheduler`).
        Ddim = "ddim",
        /// Euler's method on the probability flow ODE (`EulerDiscreteScheduler`).
        Euler = "euler",
        /// Ancestral Euler, draws noise at every step (`EulerAncestralDiscreteScheduler`).
        EulerAncestral = "euler-a",
        /// Second-order multistep DPM-Solver++ (`DPMSolverMultistepScheduler`).
        DpmSolverMultistep = "dpmpp-2m",
    }
}

impl SchedulerKind {
    /// The name of the diffusers class, as in `_class_name` of `scheduler_config.json`.
    pub const fn class_name(self) -> &'static str {
        match self {
            Self::Pndm => "PNDMScheduler",
            Self::Ddim => "DDIMScheduler",
            Self::Euler => "EulerDiscreteScheduler",
            Self::EulerAncestral => "EulerAncestralDiscreteScheduler",
            Self::DpmSolverMultistep => "DPMSolverMultistepScheduler",
        }
    }

    /// Its name in AUTOMATIC1111's program.
    pub const fn a1111_name(self) -> &'static str {
        match self {
            Self::Pndm => "PLMS",
            Self::Ddim => "DDIM",
            Self::Euler => "Euler",
            Self::EulerAncestral => "Euler a",
            Self::DpmSolverMultistep => "DPM++ 2M",
        }
    }
}

choices! {
    /// How the timesteps are spread over the training range (Lin et al. 2023, table 2).
    "timestep spacing" TimestepSpacing {
        /// Multiples of an integer stride from 0, as Stable Diffusion 1 and 2 sample.
        Leading = "leading",
        /// Back from the last timestep, as Turbo, Lightning and LCM models need.
        Trailing = "trailing",
        /// Evenly, both ends included.
        Linspace = "linspace",
    }
}

choices! {
    /// How the noise levels of a sampler are spread.
    "spread of sigmas" SigmaSpacing {
        /// As the timesteps give them.
        Normal = "normal",
        /// Evenly in their seventh root (Karras et al. 2022, equation 5).
        Karras = "karras",
        /// Evenly in their logarithm.
        Exponential = "exponential",
    }
}

choices! {
    /// The output of the U-Net (`prediction_type` of diffusers).
    ///
    /// With the sample `x = alpha * x0 + sigma * noise`, `alpha^2 + sigma^2 = 1`:
    "prediction type" PredictionType {
        /// The noise.
        Epsilon = "epsilon",
        /// The velocity `alpha * noise - sigma * x0` (Salimans and Ho 2022).
        VPrediction = "v_prediction",
        /// The clean sample `x0`.
        Sample = "sample",
    }
}

choices! {
    /// The generator behind a seed.
    "generator" NoiseKind {
        /// `torch.Generator("cpu")`: MT19937.
        TorchCpu = "torch-cpu",
        /// `torch.Generator("cuda")`: Philox 4x32-10.
        TorchCuda = "torch-cuda",
    }
}

choices! {
    /// The type of weights and activations.
    "float type" FloatType {
        /// IEEE single precision, the type in which parity with the reference is proven.
        F32 = "f32",
        /// IEEE half precision: 11 bits of precision, numbers up to 65 504.
        F16 = "f16",
        /// The range of single precision with 8 bits of precision.
        BF16 = "bf16",
    }
}

choices! {
    /// Whether the end token and the padding are left out of the softmax over the tokens (`normalize_eot` in the official
    /// repository).
    "choice" EotNormalization {
        /// For Stable Diffusion 2 only, as in the official repository.
        Auto = "auto",
        /// Always.
        On = "on",
        /// Never, as in diffusers.
        Off = "off",
    }
}

#[expect(clippy::derivable_impls, reason = "the enumeration comes from a macro")]
impl Default for NoiseKind {
    fn default() -> Self {
        Self::TorchCpu
    }
}

#[expect(clippy::derivable_impls, reason = "the enumeration comes from a macro")]
impl Default for FloatType {
    fn default() -> Self {
        Self::F32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for kind in SchedulerKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(*kind));
            assert_eq!(serde_json::from_value::<SchedulerKind>(serde_json::json!(kind)).unwrap(), *kind);
        }
        for dtype in FloatType::ALL {
            assert_eq!(dtype.to_string().parse(), Ok(*dtype));
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        assert_eq!(
            "heun".parse::<SchedulerKind>().unwrap_err().to_string(),
            "unknown scheduler `heun`: expected one of pndm, ddim, euler, euler-a, dpmpp-2m"
        );
        let error = serde_json::from_str::<FloatType>("\"f8\"").unwrap_err().to_string();
        assert!(error.starts_with("unknown float type `f8`: expected one of f32, f16, bf16"), "{error}");
    }
}
