//! Samplers and their schedules.

use super::unsupported::Unsupported;
use crate::{SchedulerKind, SigmaSpacing, TimestepSpacing};

/// The names of schedules that are spreads of sigmas.
const SCHEDULES: [(&str, SigmaSpacing); 2] =
    [("Karras", SigmaSpacing::Karras), ("Exponential", SigmaSpacing::Exponential)];
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
        let suffix = SCHEDULES.iter().find_map(|(suffix, _)| Some((without_suffix(name, suffix)?, *suffix)));
        let (base, suffix) = suffix.unwrap_or((name, ""));
        let equal = |kind: &&SchedulerKind| kind.a1111_name().eq_ignore_ascii_case(base);
        let Some(scheduler) = SchedulerKind::ALL.iter().find(equal).copied() else {
            let known: Vec<_> = SchedulerKind::ALL.iter().map(|kind| kind.a1111_name()).collect();
            let reason = format!("there is no such sampler; choose one of {}", known.join(", "));
            let unsupported = Unsupported::new("Sampler", name, reason).settled_by(&["scheduler"]);
            return Self { unsupported: vec![unsupported], ..Self::default() };
        };
        let mut sampler = Self { scheduler: Some(scheduler), ..Self::default() };
        if has_sigmas(scheduler) {
            let schedule = schedule.filter(|schedule| *schedule != "Automatic").unwrap_or(suffix);
            sampler.sigmas = if EVEN.iter().any(|even| even.eq_ignore_ascii_case(schedule)) {
                Some(SigmaSpacing::Normal)
            } else {
                SCHEDULES.iter().find(|(name, _)| name.eq_ignore_ascii_case(schedule)).map(|(_, sigmas)| *sigmas)
            };
            if sampler.sigmas.is_none() {
                let reason = "there is no such schedule; Uniform, Karras and Exponential are known";
                let unsupported = Unsupported::new("Schedule type", schedule, reason);
                sampler.unsupported.push(unsupported.settled_by(&["sigmas", "timestep_spacing"]));
            }
        }
        sampler
    }
}

/// The timesteps of a sampler of the program: its own DDIM and PLMS take every n-th, k-diffusion's samplers both ends.
pub(super) fn timestep_spacing(scheduler: SchedulerKind) -> TimestepSpacing {
    if has_sigmas(scheduler) { TimestepSpacing::Linspace } else { TimestepSpacing::Leading }
}

/// Whether the program's sampler is one of k-diffusion, which go by sigmas.
pub(super) fn has_sigmas(scheduler: SchedulerKind) -> bool {
    !matches!(scheduler, SchedulerKind::Ddim | SchedulerKind::Pndm)
}

/// The name of a schedule, for a sampler that has one.
pub(super) fn schedule_name(scheduler: SchedulerKind, sigmas: Option<SigmaSpacing>) -> Option<&'static str> {
    let name = SCHEDULES.iter().find(|(_, spread)| Some(*spread) == sigmas).map_or("Uniform", |(name, _)| name);
    has_sigmas(scheduler).then_some(name)
}

fn without_suffix<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let (base, end) = name.rsplit_once(' ')?;
    end.eq_ignore_ascii_case(suffix).then_some(base)
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
        ] {
            let expected = Sampler { scheduler: Some(kind), sigmas, unsupported: Vec::new() };
            assert_eq!(Sampler::of(name, schedule), expected, "{name} {schedule:?}");
        }
    }

    #[test]
    fn samplers_and_schedules_that_are_not_known_are_named() {
        for name in ["DPM++ SDE Karras", "Heun", "UniPC", "Karras", "", "LMS"] {
            let [unsupported] = &Sampler::of(name, None).unsupported[..] else { panic!("{name}") };
            assert_eq!((unsupported.name.as_str(), unsupported.value.as_str()), ("Sampler", name));
            assert!(unsupported.reason.ends_with("PLMS, DDIM, Euler, Euler a, DPM++ 2M"), "{unsupported}");
        }
        for schedule in ["SGM Uniform", "Beta", "Align Your Steps", "DDIM", "Simple"] {
            let sampler = Sampler::of("Euler", Some(schedule));
            assert_eq!((sampler.scheduler, sampler.sigmas), (Some(SchedulerKind::Euler), None));
            assert_eq!(sampler.unsupported[0].name, "Schedule type");
        }
    }
}
