//! The preset that a model needs, and what is to be said of it.

use std::path::Path;

use ae_checkpoint::Family;
use ae_scheduler::{PredictionType, SchedulerConfig};
use ae_settings::{LoraRef, Preset, Recipe, SchedulerKind, Settings, TimestepSpacing};
use ae_unet::UNetConfig;

use crate::{ModelSource, Pipeline};

/// A preset that a model or a LoRA is known to need.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownPreset {
    /// The preset.
    pub preset: Preset,
    /// What tells it, to stand behind "because".
    pub reason: String,
    /// Whether it is for a LoRA, and goes with it.
    pub of_lora: bool,
}

impl KnownPreset {
    /// The preset of a model.
    pub fn of_model(preset: Preset, reason: impl Into<String>) -> Self {
        Self { preset, reason: reason.into(), of_lora: false }
    }

    /// The preset of a LoRA.
    pub fn of_lora(preset: Preset, reason: impl Into<String>) -> Self {
        Self { of_lora: true, ..Self::of_model(preset, reason) }
    }

    /// What is known from outside, over what the configs tell: a LoRA that is known decides before the model that it is for.
    pub(crate) fn over(known: Option<Self>, by_configs: Option<Self>) -> Option<Self> {
        known.filter(|known| known.of_lora || by_configs.is_none()).or(by_configs)
    }

    /// What the configs of a model tell.
    pub fn by_configs(unet: &UNetConfig, scheduler: &SchedulerConfig, family: Family) -> Option<Self> {
        if unet.time_cond_proj_dim.is_some() {
            let reason = "its U-Net takes the guidance scale as a condition (time_cond_proj_dim), as those of LCM do";
            return Some(Self::of_model(Preset::Lcm, reason));
        }
        // The scheduler_config.json of stabilityai/sd-turbo. No other Stable Diffusion 2 that predicts noise has both.
        let is_turbo = family == Family::StableDiffusion2
            && scheduler.kind() == Ok(SchedulerKind::Euler)
            && scheduler.timestep_spacing() == Some(TimestepSpacing::Trailing)
            && scheduler.prediction_type() == PredictionType::Epsilon;
        let reason = "its scheduler_config.json is that of SD-Turbo (Stable Diffusion 2 with Euler, trailing, epsilon)";
        is_turbo.then(|| Self::of_model(Preset::Turbo, reason))
    }
}

/// The preset that the name of a LoRA or of the model suggests, and that name.
pub(crate) fn suggestion(source: &ModelSource, loras: &[LoraRef]) -> Option<(Preset, String)> {
    let base_name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let model = match source {
        ModelSource::Folder(path) | ModelSource::File(path) => base_name(path),
        ModelSource::Embedded(_) => None,
    };
    let names = loras.iter().filter_map(|lora| base_name(Path::new(&lora.name))).chain(model);
    names.into_iter().find_map(|name| Some((Preset::suggested_by(&name)?, name)))
}

/// What is to be said of the preset of a run: why there is one, what does not fit it, or that one may be missing.
pub(crate) fn notes(pipeline: &Pipeline, settings: &Settings) -> Vec<String> {
    let (known, suggested) = (pipeline.preset.as_ref(), pipeline.suggested_preset.as_ref());
    let takes_scale = pipeline.unet_config.time_cond_proj_dim.is_some();
    let own_spacing = pipeline.scheduler.timestep_spacing();
    let misfit = |preset: Preset| misfit(&preset.recipe(takes_scale)?, settings, own_spacing);
    let mut notes = Vec::new();
    match (settings.preset, known, suggested) {
        (Some(preset), Some(known), _) if known.preset == preset => {
            notes.push(format!("preset {preset}, because {}; the preset none is for other models", known.reason));
        }
        (None, None, Some((preset, name))) => {
            notes.extend(misfit(*preset).map(|misfit| {
                format!(
                    "the name of '{name}' looks like that of a model or LoRA of few steps; if it is one, the preset {preset} suits it, and \
                     not {misfit}"
                )
            }));
            return notes;
        }
        _ => {}
    }
    let asked = settings.preset.filter(|preset| *preset != Preset::Off);
    if let Some(preset) = asked.or(known.map(|known| known.preset)) {
        let misfit = misfit(preset);
        notes.extend(misfit.map(|misfit| format!("what the preset {preset} is for does not suit {misfit}")));
    }
    notes
}

/// The settings that are not what a recipe is for, in words.
fn misfit(recipe: &Recipe, settings: &Settings, own_spacing: Option<TimestepSpacing>) -> Option<String> {
    let Recipe { scheduler, few, largest_scale, .. } = recipe;
    let mut found = Vec::new();
    if !few.contains(&settings.steps) {
        let range =
            if few.start() == few.end() { few.end().to_string() } else { format!("{} to {}", few.start(), few.end()) };
        found.push(format!("{} step(s) ({range})", settings.steps));
    }
    if settings.guidance_scale > *largest_scale {
        found.push(format!("a guidance scale of {} (up to {largest_scale})", settings.guidance_scale));
    }
    if let Some(other) = settings.scheduler.filter(|kind| kind != scheduler) {
        found.push(format!("the sampler {other} ({scheduler})"));
    } else if recipe.timestep_spacing.is_some() && settings.timestep_spacing.or(own_spacing) != recipe.timestep_spacing
    {
        found.push("timesteps that are not trailing".to_owned());
    }
    (!found.is_empty()).then(|| found.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn configs_tell_lcm_and_sd_turbo() {
        use Family::{StableDiffusion1, StableDiffusion2};
        let unet = |json: serde_json::Value| UNetConfig::from_json(&json.to_string()).unwrap();
        let plain = unet(json!({ "cross_attention_dim": 768 }));
        let lcm = unet(json!({ "cross_attention_dim": 768, "time_cond_proj_dim": 256 }));
        let turbo = json!({ "_class_name": "EulerDiscreteScheduler", "timestep_spacing": "trailing", "prediction_type": "epsilon" });
        let by = |unet: &UNetConfig, scheduler: &serde_json::Value, family| {
            let scheduler = SchedulerConfig::from_json(&scheduler.to_string()).unwrap();
            KnownPreset::by_configs(unet, &scheduler, family).map(|known| known.preset)
        };
        assert_eq!(by(&lcm, &json!({ "_class_name": "LCMScheduler" }), StableDiffusion1), Some(Preset::Lcm));
        assert_eq!(by(&plain, &turbo, StableDiffusion2), Some(Preset::Turbo));
        // A fine-tune with a zero terminal SNR predicts velocity; one of Stable Diffusion 1 may be anything.
        assert_eq!(by(&plain, &turbo, StableDiffusion1), None);
        for (field, other) in
            [("_class_name", "DDIMScheduler"), ("timestep_spacing", "leading"), ("prediction_type", "v_prediction")]
        {
            let mut changed = turbo.clone();
            changed[field] = other.into();
            assert_eq!(by(&plain, &changed, StableDiffusion2), None, "{field}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let settings = |json: serde_json::Value| {
            let given = ae_settings::Overrides::from_json(&json).unwrap();
            Settings::combine([&given]).unwrap()
        };
        let of = |preset: Preset, json| misfit(&preset.recipe(false).unwrap(), &settings(json), None);
        assert_eq!(
            of(Preset::Lcm, json!({ "scheduler": "pndm" })).unwrap(),
            "50 step(s) (2 to 8), a guidance scale of 7.5 (up to 2), the sampler pndm (lcm)"
        );
        let turbo = json!({ "scheduler": "euler", "timestep_spacing": "trailing", "steps": 50, "guidance_scale": 0 });
        assert_eq!(of(Preset::Turbo, turbo.clone()).unwrap(), "50 step(s) (1 to 4)");
        let fits = json!({ "scheduler": "euler", "timestep_spacing": "trailing", "steps": 2, "guidance_scale": 1 });
        assert_eq!(of(Preset::Turbo, fits.clone()), None);
        assert_eq!(of(Preset::Lightning4, fits).unwrap(), "2 step(s) (4)");
        let leading = json!({ "scheduler": "ddim", "steps": 8, "guidance_scale": 0 });
        assert_eq!(of(Preset::Hyper8, leading.clone()).unwrap(), "timesteps that are not trailing");
        let recipe = Preset::Hyper8.recipe(false).unwrap();
        assert_eq!(misfit(&recipe, &settings(leading), Some(TimestepSpacing::Trailing)), None);
    }

    #[test]
    fn names_of_loras_come_before_that_of_the_model() {
        let source = ModelSource::path("models/sd_turbo.safetensors");
        assert_eq!(suggestion(&source, &[]), Some((Preset::Turbo, "sd_turbo.safetensors".to_owned())));
        let lora = LoraRef::new("loras/lcm-lora-sdv1-5.safetensors", 1.0);
        assert_eq!(suggestion(&source, &[lora]).unwrap().0, Preset::Lcm);
        assert_eq!(suggestion(&ModelSource::path("turbo/v1-5.ckpt"), &[]), None);
    }
}
