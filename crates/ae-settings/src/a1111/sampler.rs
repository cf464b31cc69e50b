//! Samplers and their schedules.

use super::unsupported::Unsupported;
use crate::{SchedulerKind, SigmaSpacing, TimestepSpacing, UnknownName};

/// The names of schedules that are spreads of sigmas.
const SCHEDULES: [(&str, SigmaSpacing); 3] =
    [("Karras", SigmaSpacing::Karras), ("Exponential", SigmaSpacing::Exponential), ("Beta", SigmaSpacing::Beta)];
/// The names of the schedule that is the model's own, evenly in time.
const EVEN: [&str; 4] = ["Uniform", "Automatic", "Normal", ""];

/// What a sampler's name and schedule say.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Sampler {
    pub(super) scheduler: Option<SchedulerKind>,
    pub(super) sigmas: Option<SigmaSpacing>,
    pub(super) unsupported: Vec<Unsupported>,
}

impl Sampler {
    /// Reads `Sampler` and `Schedule type`. Before version 1.9 the schedule was the end of the sampler's name.
    pub(super) fn of(name: &str, schedule: Option<&str>) -> Self {
        let (scheduler, suffix) = match SchedulerKind::read_with_spread(name) {
            Ok(sampler) => sampler,
            Err(UnknownName { reason, expected, .. }) => {
                let reason = reason.unwrap_or("there is no such sampler");
                let reason = format!("{reason}; choose one of {expected}");
                let unsupported = Unsupported::new("Sampler", name, reason).settled_by(&["scheduler"]);
                return Self { unsupported: vec![unsupported], ..Self::default() };
            }
        };
        let mut sampler = Self { scheduler: Some(scheduler), ..Self::default() };
        if has_sigmas(scheduler) {
            let suffix = SCHEDULES.iter().find(|(_, sigmas)| Some(*sigmas) == suffix).map_or("", |(name, _)| name);
            let schedule = schedule.filter(|schedule| *schedule != "Automatic").unwrap_or(suffix);
            sampler.sigmas = if EVEN.iter().any(|even| even.eq_ignore_ascii_case(schedule)) {
                Some(SigmaSpacing::Normal)
            } else {
                SCHEDULES.iter().find(|(name, _)| name.eq_ignore_ascii_case(schedule)).map(|(_, sigmas)| *sigmas)
            };
            if sampler.sigmas.is_none() {
                let reason = "there is no such schedule; Uniform, Karras, Exponential and Beta are known";
                let unsupported = Unsupported::new("Schedule type", schedule, reason);
                sampler.unsupported.push(unsupported.settled_by(&["sigmas", "timestep_spacing"]));
            }
        }
        sampler
    }
}

/// Where the program has another sampler under a name, or another spread, than we have.
pub(crate) fn differences(scheduler: Option<SchedulerKind>, sigmas: Option<SigmaSpacing>) -> Vec<Unsupported> {
    let sampler = scheduler.and_then(|scheduler| {
        let difference = match scheduler {
            SchedulerKind::DpmSolverMultistepSde => "its noise comes from a Brownian tree, which is not ported",
            SchedulerKind::UniPc => "it is of the third order there, by the variant bh1",
            SchedulerKind::Lcm => "its timesteps are spread otherwise there",
            SchedulerKind::Kdpm2 | SchedulerKind::Kdpm2Ancestral => "it leaves out the last noise level but one there",
            _ => return None,
        };
        let reason = format!("{difference}; choose the scheduler {scheduler} for diffusers' own");
        Some(Unsupported::new("Sampler", scheduler.a1111_name(), reason).settled_by(&["scheduler"]))
    });
    let spread = (sigmas == Some(SigmaSpacing::Beta)).then(|| {
        let reason =
            "it spreads the timesteps there; choose the sigmas beta to spread the noise levels, as diffusers does";
        Unsupported::new("Schedule type", "Beta", reason).settled_by(&["sigmas", "timestep_spacing"])
    });
    sampler.into_iter().chain(spread).collect()
}

/// The timesteps of a sampler of the program, where they can be chosen: its own take every n-th, k-diffusion's both ends.
pub(super) fn timestep_spacing(scheduler: SchedulerKind) -> Option<TimestepSpacing> {
    let spacing = if has_sigmas(scheduler) { TimestepSpacing::Linspace } else { TimestepSpacing::Leading };
    scheduler.has_timestep_spacing().then_some(spacing)
}

/// Whether the program's sampler is one of k-diffusion, which go by sigmas.
pub(crate) fn has_sigmas(scheduler: SchedulerKind) -> bool {
    use SchedulerKind::{Ddim, Ddpm, Lcm, Pndm, Tcd, UniPc};
    !matches!(scheduler, Ddim | Ddpm | Pndm | UniPc | Lcm | Tcd)
}

/// The name of a schedule, for a sampler that has one.
pub(super) fn schedule_name(scheduler: SchedulerKind, sigmas: Option<SigmaSpacing>) -> Option<&'static str> {
    let name = SCHEDULES.iter().find(|(_, spread)| Some(*spread) == sigmas).map_or("Uniform", |(name, _)| name);
    has_sigmas(scheduler).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_read_as_new_and_as_old_versions_write_them() {
        use SigmaSpacing::{Exponential, Karras, Normal};
        for (name, schedule, kind, sigmas) in [
            ("DPM++ 2M", Some("Karras"), SchedulerKind::DpmSolverMultistep, Some(Karras)),
            ("DPM++ 2M Karras", None, SchedulerKind::DpmSolverMultistep, Some(Karras)),
            ("DPM++ 2M Karras", Some("Automatic"), SchedulerKind::DpmSolverMultistep, Some(Karras)),
            ("DPM++ 2M Karras", Some("Uniform"), SchedulerKind::DpmSolverMultistep, Some(Normal)),
            ("euler a", Some("exponential"), SchedulerKind::EulerAncestral, Some(Exponential)),
            ("Euler", None, SchedulerKind::Euler, Some(Normal)),
            ("Euler", Some("Normal"), SchedulerKind::Euler, Some(Normal)),
            ("DDIM", Some("Karras"), SchedulerKind::Ddim, None),
            ("PLMS", None, SchedulerKind::Pndm, None),
            ("Heun", None, SchedulerKind::Heun, Some(Normal)),
            ("LMS Karras", None, SchedulerKind::Lms, Some(Karras)),
            ("DPM2 a Karras", Some("Automatic"), SchedulerKind::Kdpm2Ancestral, Some(Karras)),
            ("DPM++ 2M SDE Exponential", None, SchedulerKind::DpmSolverMultistepSde, Some(Exponential)),
            ("Euler", Some("Beta"), SchedulerKind::Euler, Some(SigmaSpacing::Beta)),
            ("UniPC", Some("Automatic"), SchedulerKind::UniPc, None),
            ("LCM", None, SchedulerKind::Lcm, None),
        ] {
            let expected = Sampler { scheduler: Some(kind), sigmas, unsupported: Vec::new() };
            assert_eq!(Sampler::of(name, schedule), expected, "{name} {schedule:?}");
        }
    }

    #[test]
    fn samplers_and_schedules_that_are_not_known_are_named() {
        for name in ["DPM++ SDE Karras", "Restart", "DDIM CFG++", "Karras", "", "DPM++ 2S a"] {
            let [unsupported] = &Sampler::of(name, None).unsupported[..] else { panic!("{name}") };
            assert_eq!((unsupported.name.as_str(), unsupported.value.as_str()), ("Sampler", name));
            assert!(unsupported.reason.ends_with("DPM++ 2M, DPM++ 2M SDE, UniPC, LCM, TCD"), "{unsupported}");
        }
        for schedule in ["SGM Uniform", "KL Optimal", "Align Your Steps", "DDIM", "Simple"] {
            let sampler = Sampler::of("Euler", Some(schedule));
            assert_eq!((sampler.scheduler, sampler.sigmas), (Some(SchedulerKind::Euler), None));
            assert_eq!(sampler.unsupported[0].name, "Schedule type");
        }
    }
}
