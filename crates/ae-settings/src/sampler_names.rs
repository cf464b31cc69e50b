//! What programs call the samplers: one table.

use crate::SchedulerKind::{
    self, Ddim, Ddpm, DpmSolverMultistep, DpmSolverMultistepSde, Euler, EulerAncestral, Heun, Kdpm2, Kdpm2Ancestral,
    Lcm, Lms, Pndm, Tcd, UniPc,
};
use crate::SigmaSpacing;

/// One sampler's names.
pub(crate) struct Names {
    kind: SchedulerKind,
    /// diffusers' class.
    pub(crate) class: &'static str,
    /// AUTOMATIC1111's, and its descendants' for the samplers that it lacks. ComfyUI's and our own are the same words,
    /// `dpmpp_2m` for `DPM++ 2M` and `euler_ancestral` for `Euler a`: [`words`] makes them equal.
    pub(crate) a1111: &'static str,
}

const TABLE: &[Names] = &[
    Names { kind: Pndm, class: "PNDMScheduler", a1111: "PLMS" },
    Names { kind: Ddim, class: "DDIMScheduler", a1111: "DDIM" },
    Names { kind: Ddpm, class: "DDPMScheduler", a1111: "DDPM" },
    Names { kind: Euler, class: "EulerDiscreteScheduler", a1111: "Euler" },
    Names { kind: EulerAncestral, class: "EulerAncestralDiscreteScheduler", a1111: "Euler a" },
    Names { kind: Heun, class: "HeunDiscreteScheduler", a1111: "Heun" },
    Names { kind: Lms, class: "LMSDiscreteScheduler", a1111: "LMS" },
    Names { kind: Kdpm2, class: "KDPM2DiscreteScheduler", a1111: "DPM2" },
    Names { kind: Kdpm2Ancestral, class: "KDPM2AncestralDiscreteScheduler", a1111: "DPM2 a" },
    Names { kind: DpmSolverMultistep, class: "DPMSolverMultistepScheduler", a1111: "DPM++ 2M" },
    Names { kind: DpmSolverMultistepSde, class: "DPMSolverMultistepScheduler", a1111: "DPM++ 2M SDE" },
    Names { kind: UniPc, class: "UniPCMultistepScheduler", a1111: "UniPC" },
    Names { kind: Lcm, class: "LCMScheduler", a1111: "LCM" },
    Names { kind: Tcd, class: "TCDScheduler", a1111: "TCD" },
];

/// Samplers that there are elsewhere, by the end of their [`words`], and why not here.
const REFUSED: &[(&str, &str)] = &[
    ("cfgpp", "CFG++ guides by another rule, which is not implemented"),
    ("dpmppsde", BROWNIAN_TREE),
    ("dpmsolversdescheduler", BROWNIAN_TREE),
    ("dpmpp3msde", "the third order is not implemented; dpmpp-2m-sde is of the second"),
    ("dpmpp2msdeheun", "this solver type is not implemented; dpmpp-2m-sde is the one of the midpoint"),
    ("dpmpp2sa", SINGLE_STEP),
    ("dpmsolversinglestepscheduler", SINGLE_STEP),
    ("dpmfast", "its steps are not implemented; dpmpp-2m is the solver of few steps"),
    ("dpmadaptive", "steps of a length that is found on the way are not implemented"),
    ("restart", "going back to noisier samples is not implemented"),
    ("heunpp2", "it is not implemented; heun is the method that it extends"),
    ("ipndm", "it is not implemented; pndm is the nearest"),
    ("deis", "it is not implemented; dpmpp-2m reads its files as diffusers does"),
    ("deismultistepscheduler", "it is not implemented; dpmpp-2m reads its files as diffusers does"),
];
const BROWNIAN_TREE: &str = "its noise comes from a Brownian tree, which is not ported; dpmpp-2m-sde draws plain noise";
const SINGLE_STEP: &str = "the single-step solver is not implemented; dpmpp-2m is the multistep one";

pub(crate) fn of(kind: SchedulerKind) -> &'static Names {
    TABLE.iter().find(|names| names.kind == kind).expect("every sampler stands in the table")
}

/// The sampler of a name that says nothing else.
pub(crate) fn kind(name: &str) -> Result<SchedulerKind, Option<&'static str>> {
    match with_spread(name)? {
        (kind, None) => Ok(kind),
        (_, Some(_)) => Err(Some("the spread of its noise levels is an option of its own (sigmas)")),
    }
}

/// The sampler of a name, and the spread of its noise levels if the name ends in it. The error is the reason, where there is one.
pub(crate) fn with_spread(name: &str) -> Result<(SchedulerKind, Option<SigmaSpacing>), Option<&'static str>> {
    let name = words(name);
    let find = |name: &str| {
        let is_named =
            |names: &&Names| [names.kind.name(), names.class, names.a1111].iter().any(|known| words(known) == name);
        TABLE.iter().find(is_named).map(|names| names.kind)
    };
    if let Some(kind) = find(&name) {
        return Ok((kind, None));
    }
    let mut base = name.as_str();
    for sigmas in SigmaSpacing::ALL {
        if let Some(shorter) = name.strip_suffix(sigmas.name()) {
            if let Some(kind) = find(shorter) {
                return Ok((kind, Some(*sigmas)));
            }
            base = shorter;
        }
    }
    Err(REFUSED.iter().find(|(end, _)| base.ends_with(end)).map(|(_, reason)| *reason))
}

/// A name without what programs write differently: case, separators, `++` or `pp`, `a` or `ancestral`, k-diffusion's prefix, the
/// place of the noise, and ComfyUI's name for the variant of UniPC that diffusers has.
fn words(name: &str) -> String {
    let name = name.trim().to_lowercase().replace("++", "pp");
    let name = name.strip_prefix("k_").unwrap_or(&name);
    let name: String = name.chars().filter(|symbol| !" _-".contains(*symbol)).collect();
    let name = name.strip_suffix("gpu").unwrap_or(&name).replace("unipcbh2", "unipc");
    if name.ends_with("scheduler") { name } else { name.replace("ancestral", "a") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samplers_are_known_by_the_names_of_every_program() {
        for (kind, names) in [
            (Pndm, &["pndm", "PLMS", "plms", "PNDMScheduler"][..]),
            (Ddim, &["ddim", "DDIM", "DDIMScheduler"]),
            (Ddpm, &["ddpm", "DDPM", "DDPMScheduler"]),
            (Euler, &["euler", "Euler", "k_euler", "EulerDiscreteScheduler"]),
            (
                EulerAncestral,
                &["euler-a", "Euler a", "euler_ancestral", "k_euler_a", "EulerAncestralDiscreteScheduler"],
            ),
            (Heun, &["heun", "Heun", "k_heun", "HeunDiscreteScheduler"]),
            (Lms, &["lms", "LMS", "k_lms", "LMSDiscreteScheduler"]),
            (Kdpm2, &["dpm2", "DPM2", "dpm_2", "k_dpm_2", "KDPM2DiscreteScheduler"]),
            (Kdpm2Ancestral, &["dpm2-a", "DPM2 a", "dpm_2_ancestral", "KDPM2AncestralDiscreteScheduler"]),
            (DpmSolverMultistep, &["dpmpp-2m", "DPM++ 2M", "dpmpp_2m", "DPMSolverMultistepScheduler"]),
            (DpmSolverMultistepSde, &["dpmpp-2m-sde", "DPM++ 2M SDE", "dpmpp_2m_sde", "dpmpp_2m_sde_gpu"]),
            (UniPc, &["unipc", "UniPC", "uni_pc", "uni_pc_bh2", "UniPCMultistepScheduler"]),
            (Lcm, &["lcm", "LCM", "LCMScheduler"]),
            (Tcd, &["tcd", "TCD", "TCDScheduler"]),
        ] {
            for name in names {
                assert_eq!(name.parse(), Ok(kind), "{name}");
            }
        }
    }

    #[test]
    fn a_spread_at_the_end_of_a_name_is_not_lost() {
        for (name, kind, sigmas) in [
            ("DPM++ 2M Karras", DpmSolverMultistep, SigmaSpacing::Karras),
            ("DPM++ 2M SDE Exponential", DpmSolverMultistepSde, SigmaSpacing::Exponential),
            ("LMS Karras", Lms, SigmaSpacing::Karras),
            ("DPM2 a Karras", Kdpm2Ancestral, SigmaSpacing::Karras),
        ] {
            assert_eq!(SchedulerKind::read_with_spread(name), Ok((kind, Some(sigmas))), "{name}");
            let error = name.parse::<SchedulerKind>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("there is no scheduler `{name}`: the spread")), "{error}");
        }
    }

    #[test]
    fn samplers_of_others_are_refused_with_the_reason() {
        for (name, reason) in [
            ("DDIM CFG++", "CFG++"),
            ("euler_ancestral_cfg_pp", "CFG++"),
            ("DPM++ SDE", "Brownian tree"),
            ("DPM++ SDE Karras", "Brownian tree"),
            ("dpmpp_sde_gpu", "Brownian tree"),
            ("DPMSolverSDEScheduler", "Brownian tree"),
            ("DPM++ 3M SDE Exponential", "third order"),
            ("DPM++ 2M SDE Heun Karras", "midpoint"),
            ("dpmpp_2s_ancestral", "single-step"),
            ("DPMSolverSinglestepScheduler", "single-step"),
            ("DPM fast", "few steps"),
            ("DPM adaptive", "length"),
            ("Restart", "noisier"),
            ("DEISMultistepScheduler", "dpmpp-2m"),
        ] {
            let error = name.parse::<SchedulerKind>().unwrap_err();
            assert!(error.reason.is_some_and(|found| found.contains(reason)), "{name}: {error}");
        }
        for name in ["", "Karras", "a", "FlowMatchEulerDiscreteScheduler", "DPM", "scheduler"] {
            assert_eq!(name.parse::<SchedulerKind>().unwrap_err().reason, None, "{name}");
        }
    }
}
