//! The option that an error is about, for forms and clients that mark it.

use ae_guidance::GuidanceError;
use ae_scheduler::SchedulerError;
use ae_settings::{SettingsError, all_options};

use crate::PipelineError;

impl PipelineError {
    /// The option to blame, if it is one: its name in settings, of a member of a group as `attend_and_excite.sigma`.
    pub fn field(&self) -> Option<String> {
        match self {
            Self::Settings(SettingsError::Value { field, .. } | SettingsError::Unknown { field, .. }) => {
                Some(field.clone())
            }
            Self::Option { option, .. } | Self::Guidance(GuidanceError::Setting { name: option, .. }) => named(option),
            Self::AttentionResolution { .. } => named("attention_res"),
            // The config of a scheduler has more fields than there are options.
            Self::Scheduler(SchedulerError::Unsupported { option, .. }) => named(option).or_else(|| named("scheduler")),
            Self::Subject(_) | Self::NoSubject { .. } => named("subjects"),
            Self::Composition { .. }
            | Self::PartWeight(_)
            | Self::Schedule(_)
            | Self::Networks { .. }
            | Self::Lengths { .. } => named("prompt"),
            _ => None,
        }
    }
}

/// An option with its group, by its name in settings or on a command line.
fn named(name: &str) -> Option<String> {
    let name = name.replace('-', "_");
    let (group, _) = all_options().find(|(_, option)| option.name == name)?;
    Some(group.map_or_else(|| name.clone(), |group| format!("{group}.{name}")))
}

#[cfg(test)]
mod tests {
    use ae_settings::SchedulerKind;

    use super::*;

    #[test]
    fn errors_name_the_option_to_blame() {
        let (wanted, available) = ("7x7".to_owned(), "8x8".to_owned());
        let setting = GuidanceError::Setting { name: "kernel-size", value: "4".to_owned(), expected: "an odd number" };
        let unsupported = |option| SchedulerError::Unsupported {
            kind: SchedulerKind::Ddim,
            option,
            value: "karras".to_owned(),
            supported: "nothing",
        };
        for (error, field) in [
            (PipelineError::AttentionResolution { wanted, available }, Some("attend_and_excite.attention_res")),
            (PipelineError::Guidance(setting), Some("attend_and_excite.kernel_size")),
            (PipelineError::Scheduler(unsupported("sigmas")), Some("sigmas")),
            (PipelineError::Scheduler(unsupported("trained_betas")), Some("scheduler")),
            (PipelineError::Networks { prompt: "a cat".to_owned() }, Some("prompt")),
            (PipelineError::MapsOfParts, None),
        ] {
            assert_eq!(error.field().as_deref(), field, "{error}");
        }
    }
}
