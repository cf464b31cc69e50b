//! The enumerations of the settings.

use crate::choice::choices;
use crate::{UnknownName, sampler_names};

choices! {
    /// A sampler. It is read by the names of AUTOMATIC1111's program, of ComfyUI and of diffusers' classes too.
    "scheduler" SchedulerKind also by sampler_names::kind {
        /// PLMS, pseudo linear multistep (diffusers' `PNDMScheduler` with `skip_prk_steps`).
        Pndm = "pndm",
        /// DDIM, deterministic unless `eta` says otherwise (`DDIMScheduler`).
        Ddim = "ddim",
        /// DDPM, draws noise at every step (`DDPMScheduler`).
        Ddpm = "ddpm",
        /// Euler's method on the probability flow ODE (`EulerDiscreteScheduler`).
        Euler = "euler",
        /// Ancestral Euler, draws noise at every step (`EulerAncestralDiscreteScheduler`).
        EulerAncestral = "euler-a",
        /// Heun's method, two evaluations of the model a step (`HeunDiscreteScheduler`).
        Heun = "heun",
        /// Linear multistep of order 4 (`LMSDiscreteScheduler`).
        Lms = "lms",
        /// DPM-Solver-2, two evaluations of the model a step (`KDPM2DiscreteScheduler`).
        Kdpm2 = "dpm2",
        /// Ancestral DPM-Solver-2, draws noise at every step (`KDPM2AncestralDiscreteScheduler`).
        Kdpm2Ancestral = "dpm2-a",
        /// Second-order multistep DPM-Solver++ (`DPMSolverMultistepScheduler`).
        DpmSolverMultistep = "dpmpp-2m",
        /// The same of the stochastic equation, draws noise at every step (with `algorithm_type` `sde-dpmsolver++`).
        DpmSolverMultistepSde = "dpmpp-2m-sde",
        /// UniPC of order 2 (`UniPCMultistepScheduler`).
        UniPc = "unipc",
        /// Latent consistency models, draws noise at every step (`LCMScheduler`).
        Lcm = "lcm",
        /// Trajectory consistency distillation, draws noise if `eta` says so (`TCDScheduler`).
        Tcd = "tcd",
    }
}

impl SchedulerKind {
    /// The name of the diffusers class, as in `_class_name` of `scheduler_config.json`. Both multistep DPM-Solvers have one.
    pub fn class_name(self) -> &'static str {
        sampler_names::of(self).class
    }

    /// Its name in AUTOMATIC1111's program and its descendants.
    pub fn a1111_name(self) -> &'static str {
        sampler_names::of(self).a1111
    }

    /// The sampler of a name of any program, and the spread of its noise levels where the name has that at its end, as in
    /// `DPM++ 2M Karras`.
    ///
    /// # Errors
    ///
    /// When there is no such sampler; the reason is given for names that others use.
    pub fn read_with_spread(name: &str) -> Result<(Self, Option<SigmaSpacing>), UnknownName> {
        sampler_names::with_spread(name).map_err(|reason| {
            let known = Self::ALL.iter().map(|kind| kind.a1111_name());
            UnknownName { reason, ..UnknownName::new("sampler", name, known) }
        })
    }

    /// Whether its steps draw noise; with `eta` above 0 DDIM and TCD do.
    pub fn draws_noise(self, eta: f64) -> bool {
        match self {
            Self::Ddim | Self::Tcd => eta > 0.0,
            Self::Ddpm | Self::EulerAncestral | Self::Kdpm2Ancestral | Self::DpmSolverMultistepSde | Self::Lcm => true,
            Self::Pndm
            | Self::Euler
            | Self::Heun
            | Self::Lms
            | Self::Kdpm2
            | Self::DpmSolverMultistep
            | Self::UniPc => false,
        }
    }

    /// Whether its noise levels can be spread like this; most samplers that go by timesteps have no such option.
    pub fn has_sigmas(self, sigmas: SigmaSpacing) -> bool {
        match self {
            Self::Pndm | Self::Ddim | Self::Ddpm | Self::Lcm | Self::Tcd => false,
            Self::EulerAncestral => sigmas == SigmaSpacing::Normal,
            Self::Euler
            | Self::Heun
            | Self::Lms
            | Self::Kdpm2
            | Self::Kdpm2Ancestral
            | Self::DpmSolverMultistep
            | Self::DpmSolverMultistepSde
            | Self::UniPc => true,
        }
    }

    /// Whether its timesteps can be spread by a [`TimestepSpacing`]; those of distilled models are the distillation's.
    pub fn has_timestep_spacing(self) -> bool {
        !matches!(self, Self::Lcm | Self::Tcd)
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
        /// By the quantiles of a beta distribution (Lee et al. 2024), as diffusers spreads the noise levels themselves.
        Beta = "beta",
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
    /// What in a prompt is more than text.
    "prompt syntax" PromptSyntax {
        /// Nothing, as in diffusers: every character is text.
        Plain = "plain",
        /// What AUTOMATIC1111's program knows: weights in brackets, LoRAs, AND, BREAK, and texts that change from step to step.
        A1111 = "a1111",
    }
}

choices! {
    /// What becomes of a prompt beyond the length that the text encoder reads at once.
    "way with long prompts" LongPrompts {
        /// It is encoded in chunks, as in AUTOMATIC1111's program and ComfyUI; prompt and negative prompt have each their own length.
        Chunks = "chunks",
        /// The same, and the shorter one of both gets empty chunks: that program's option "Pad prompt/negative prompt".
        Padded = "padded",
        /// What does not fit is cut, as in diffusers.
        Cut = "cut",
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
    /// The type of weights and activations; on the CPU, which computes in f32, that in which weights are kept.
    "float type" FloatType {
        /// IEEE single precision, the type in which parity with the reference is proven.
        F32 = "f32",
        /// IEEE half precision: 11 bits of precision, numbers up to 65 504.
        F16 = "f16",
        /// The range of single precision with 8 bits of precision.
        BF16 = "bf16",
        /// On the CPU alone: weights in 8 bits with a scale for each output, quantised while they are loaded.
        Q8 = "q8",
    }
}

impl FloatType {
    /// The type of what is not quantised: single precision for [`Q8`](Self::Q8), and every other type itself.
    #[must_use]
    pub const fn unquantized(self) -> Self {
        match self {
            Self::Q8 => Self::F32,
            other => other,
        }
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

choices! {
    /// How far the attention maps of two words are apart.
    "distance" PairDistance {
        /// The mean of both Kullback-Leibler divergences.
        Kl = "kl",
        /// One minus the cosine of the angle between them.
        Cosine = "cosine",
        /// Half the sum of the differences.
        TotalVariation = "total-variation",
    }
}

choices! {
    /// Whose distance to the words outside a pair counts.
    "choice of negatives" PairNegatives {
        /// That of the noun.
        Noun = "noun",
        /// Half that of the noun and half that of the modifier.
        Both = "both",
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
            assert_eq!(dtype.unquantized() == *dtype, *dtype != FloatType::Q8);
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        assert_eq!(
            "runge".parse::<SchedulerKind>().unwrap_err().to_string(),
            "unknown scheduler `runge`: expected one of pndm, ddim, ddpm, euler, euler-a, heun, lms, dpm2, dpm2-a, dpmpp-2m, \
             dpmpp-2m-sde, unipc, lcm, tcd"
        );
        let error = serde_json::from_str::<FloatType>("\"f8\"").unwrap_err().to_string();
        assert!(error.starts_with("unknown float type `f8`: expected one of f32, f16, bf16, q8"), "{error}");
    }
}
