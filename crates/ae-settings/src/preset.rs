//! Settings for models that were distilled to draw in few steps.

use std::ops::RangeInclusive;

use crate::choice::choices;
use crate::{Overrides, SchedulerKind, TimestepSpacing};

choices! {
    /// The sampler settings that suit a model or LoRA of few steps, as its authors publish them.
    ///
    /// They are laid over the model's own defaults and under everything that is given.
    "preset" Preset also by no_such_preset {
        /// SD-Turbo (Sauer et al. 2023): Euler, trailing, no guidance scale, 1 to 4 steps.
        Turbo = "turbo",
        /// Latent consistency models and their LoRAs (Luo et al. 2023): LCM, 2 to 8 steps.
        Lcm = "lcm",
        /// Lightning (Lin et al. 2024) of 2 steps: Euler, trailing, no guidance scale.
        Lightning2 = "lightning-2",
        /// Lightning of 4 steps.
        Lightning4 = "lightning-4",
        /// Lightning of 8 steps.
        Lightning8 = "lightning-8",
        /// Hyper-SD (Ren et al. 2024) of 1 step, its unified LoRA: TCD, all noise drawn afresh, no guidance scale.
        Hyper1 = "hyper-1",
        /// Hyper-SD of 2 steps: DDIM, trailing, no guidance scale.
        Hyper2 = "hyper-2",
        /// Hyper-SD of 4 steps.
        Hyper4 = "hyper-4",
        /// Hyper-SD of 8 steps.
        Hyper8 = "hyper-8",
        /// As for any other model, also for one that is known to be distilled.
        Off = "none",
    }
}

/// What the authors of a distilled model publish of its sampling.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Recipe {
    /// The sampler.
    pub scheduler: SchedulerKind,
    /// How its timesteps are spread, if that can be chosen.
    pub timestep_spacing: Option<TimestepSpacing>,
    /// How much of the noise is drawn afresh.
    pub eta: f64,
    /// The number of steps.
    pub steps: usize,
    /// The numbers of steps that it was made for.
    pub few: RangeInclusive<usize>,
    /// The guidance scale; 0 is none.
    pub guidance_scale: f64,
    /// The largest guidance scale that it was made for.
    pub largest_scale: f64,
}

impl Preset {
    /// Its recipe; `takes_scale` says that the U-Net takes the guidance scale as a condition. None for [`Preset::Off`].
    ///
    /// The model cards: stabilityai/sd-turbo, SimianLuo/LCM_Dreamshaper_v7, latent-consistency/lcm-lora-sdv1-5,
    /// ByteDance/SDXL-Lightning, ByteDance/Hyper-SD. Of SD-Turbo the example has 1 step of the 1 to 4 that the model is made for; guidance
    /// gains by all of them.
    pub fn recipe(self, takes_scale: bool) -> Option<Recipe> {
        let trailing = |scheduler, steps, few| Recipe {
            scheduler,
            timestep_spacing: Some(TimestepSpacing::Trailing),
            eta: 0.0,
            steps,
            few,
            guidance_scale: 0.0,
            largest_scale: 1.0,
        };
        let exactly = |scheduler, steps| trailing(scheduler, steps, steps..=steps);
        let own = |scheduler, steps, few| Recipe { timestep_spacing: None, ..trailing(scheduler, steps, few) };
        Some(match self {
            Self::Turbo => trailing(SchedulerKind::Euler, 4, 1..=4),
            Self::Lcm if takes_scale => {
                Recipe { guidance_scale: 8.0, largest_scale: f64::MAX, ..own(SchedulerKind::Lcm, 4, 1..=8) }
            }
            Self::Lcm => Recipe { largest_scale: 2.0, ..own(SchedulerKind::Lcm, 4, 2..=8) },
            Self::Lightning2 => exactly(SchedulerKind::Euler, 2),
            Self::Lightning4 => exactly(SchedulerKind::Euler, 4),
            Self::Lightning8 => exactly(SchedulerKind::Euler, 8),
            Self::Hyper1 => Recipe { eta: 1.0, ..own(SchedulerKind::Tcd, 1, 1..=8) },
            Self::Hyper2 => exactly(SchedulerKind::Ddim, 2),
            Self::Hyper4 => exactly(SchedulerKind::Ddim, 4),
            Self::Hyper8 => exactly(SchedulerKind::Ddim, 8),
            Self::Off => return None,
        })
    }

    /// Its recipe as settings to lie under those that are `given`: of a sampler that is given, only what that one has.
    pub fn settings_under(self, given: &Overrides, takes_scale: bool) -> Overrides {
        let Some(recipe) = self.recipe(takes_scale) else { return Overrides::default() };
        let sampler = given.scheduler.unwrap_or(recipe.scheduler);
        Overrides {
            scheduler: Some(sampler),
            timestep_spacing: recipe.timestep_spacing.filter(|_| sampler.has_timestep_spacing()),
            eta: Some(if sampler == recipe.scheduler { recipe.eta } else { 0.0 }),
            steps: Some(recipe.steps),
            guidance_scale: Some(recipe.guidance_scale),
            ..Overrides::default()
        }
    }

    /// Takes out of settings what this preset decides, as where a picture is drawn again by another preset.
    pub fn take_from(self, settings: &mut Overrides) {
        if self != Self::Off {
            settings.scheduler = None;
            settings.timestep_spacing = None;
            settings.sigmas = None;
            settings.eta = None;
            settings.steps = None;
            settings.guidance_scale = None;
        }
        settings.preset = None;
    }

    /// The preset that the name of a file, a folder or a repository suggests, such as `sd_turbo` or `Hyper-SD15-4steps-lora`.
    ///
    /// People name files as they like: it is a suggestion and no more.
    pub fn suggested_by(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        // The number before `step`.
        let steps = name.find("step").and_then(|end| {
            let before = name[..end].trim_end_matches([' ', '_', '-']);
            let digits = before.trim_end_matches(|symbol: char| symbol.is_ascii_digit()).len();
            before[digits..].parse::<usize>().ok()
        });
        let name: String = name.chars().filter(|symbol| symbol.is_alphanumeric()).collect();
        let of_steps = |presets: &[(usize, Self)], usual| {
            let found = presets.iter().find(|(count, _)| Some(*count) == steps);
            found.map_or_else(|| if steps.is_none() { Some(usual) } else { None }, |(_, preset)| Some(*preset))
        };
        if name.contains("hypersd") {
            // Those that keep the guidance scale have no recipe of one number.
            let all = [(1, Self::Hyper1), (2, Self::Hyper2), (4, Self::Hyper4), (8, Self::Hyper8)];
            return if name.contains("cfg") { None } else { of_steps(&all, Self::Hyper4) };
        }
        if name.contains("lightning") {
            return of_steps(&[(2, Self::Lightning2), (4, Self::Lightning4), (8, Self::Lightning8)], Self::Lightning4);
        }
        let found = [("turbo", Self::Turbo), ("lcm", Self::Lcm)];
        found.into_iter().find(|(word, _)| name.contains(word)).map(|(_, preset)| preset)
    }
}

/// Why there is no preset of a name that others use.
fn no_such_preset(name: &str) -> Result<Preset, Option<&'static str>> {
    Err(match name {
        "lightning-1" => Some(
            "it predicts the sample: --prediction-type sample --scheduler euler --timestep-spacing trailing --steps 1 --guidance-scale 0",
        ),
        "hyper" | "hyper-sd" | "lightning" => Some("say for how many steps it was made"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Settings, StepIndex};

    #[test]
    fn presets_are_what_the_model_cards_say() {
        for (name, expected) in [
            ("turbo", json!(["euler", "trailing", 0.0, 4, 0.0])),
            ("lcm", json!(["lcm", null, 0.0, 4, 0.0])),
            ("lightning-2", json!(["euler", "trailing", 0.0, 2, 0.0])),
            ("lightning-4", json!(["euler", "trailing", 0.0, 4, 0.0])),
            ("lightning-8", json!(["euler", "trailing", 0.0, 8, 0.0])),
            ("hyper-1", json!(["tcd", null, 1.0, 1, 0.0])),
            ("hyper-2", json!(["ddim", "trailing", 0.0, 2, 0.0])),
            ("hyper-4", json!(["ddim", "trailing", 0.0, 4, 0.0])),
            ("hyper-8", json!(["ddim", "trailing", 0.0, 8, 0.0])),
        ] {
            let preset: Preset = name.parse().unwrap();
            let given = preset.settings_under(&Overrides::default(), false);
            let found = json!([given.scheduler, given.timestep_spacing, given.eta, given.steps, given.guidance_scale]);
            assert_eq!(found, expected, "{name}");
            let recipe = preset.recipe(false).unwrap();
            assert!(recipe.few.contains(&recipe.steps) && recipe.guidance_scale <= recipe.largest_scale, "{name}");
            assert!(recipe.timestep_spacing.is_some() == recipe.scheduler.has_timestep_spacing(), "{name}");
        }
        // The card of LCM_Dreamshaper_v7, whose U-Net takes the scale.
        assert_eq!(Preset::Lcm.settings_under(&Overrides::default(), true).guidance_scale, Some(8.0));
        assert_eq!(Preset::Off.settings_under(&Overrides::default(), true), Overrides::default());
    }

    #[test]
    fn what_is_given_wins_and_what_its_sampler_lacks_is_left_out() {
        let model = Overrides::from_json(&json!({ "steps": 50, "guidance_scale": 7.5 })).unwrap();
        let combine = |given| {
            let given = Overrides::from_json(&given).unwrap();
            let layer = given.preset.unwrap().settings_under(&given, false);
            let settings = Settings::combine([&model, &layer, &given]).unwrap();
            json!([
                settings.scheduler,
                settings.timestep_spacing,
                settings.eta,
                settings.steps,
                settings.guidance_scale
            ])
        };
        assert_eq!(combine(json!({ "preset": "turbo" })), json!(["euler", "trailing", 0.0, 4, 0.0]));
        assert_eq!(combine(json!({ "preset": "turbo", "steps": 1 })), json!(["euler", "trailing", 0.0, 1, 0.0]));
        let given = json!({ "preset": "turbo", "timestep_spacing": "leading", "guidance_scale": 2.0 });
        assert_eq!(combine(given), json!(["euler", "leading", 0.0, 4, 2.0]));
        // LCM has neither a spacing nor TCD's noise.
        assert_eq!(combine(json!({ "preset": "turbo", "scheduler": "lcm" })), json!(["lcm", null, 0.0, 4, 0.0]));
        assert_eq!(combine(json!({ "preset": "hyper-1", "scheduler": "euler" })), json!(["euler", null, 0.0, 1, 0.0]));
        assert_eq!(combine(json!({ "preset": "hyper-1", "eta": 0.3 })), json!(["tcd", null, 0.3, 1, 0.0]));
        assert_eq!(combine(json!({ "preset": "none" })), json!([null, null, 0.0, 50, 7.5]));
    }

    /// The plan by shares: the first half of the steps is guided, and every preset has a guided step.
    #[test]
    fn four_steps_have_two_guided_ones() {
        let own = Settings::default().attend_and_excite;
        for (preset, expected) in [
            (Preset::Turbo, 2),
            (Preset::Lcm, 2),
            (Preset::Lightning2, 1),
            (Preset::Lightning4, 2),
            (Preset::Lightning8, 4),
            (Preset::Hyper1, 1),
            (Preset::Hyper2, 1),
            (Preset::Hyper4, 2),
            (Preset::Hyper8, 4),
        ] {
            let steps = preset.recipe(false).unwrap().steps;
            let altered = own.max_iter_to_alter.resolve(steps);
            assert_eq!(altered, expected, "{preset}");
            assert!(own.thresholds.resolve(steps, altered).keys().all(|step| *step < altered), "{preset}");
        }
        let refined = own.thresholds.resolve(4, 2);
        assert_eq!(refined.into_iter().collect::<Vec<_>>(), [(0, 0.05), (1, 0.5)]);
        assert_eq!(StepIndex::Percent(50.0).resolve(4), 2);
    }

    #[test]
    fn names_suggest_a_preset() {
        for (name, expected) in [
            ("sd_turbo.safetensors", Some(Preset::Turbo)),
            ("stabilityai/sd-turbo", Some(Preset::Turbo)),
            ("LCM_Dreamshaper_v7_4k.safetensors", Some(Preset::Lcm)),
            ("lcm-lora-sdv1-5", Some(Preset::Lcm)),
            ("Hyper-SD15-1step-lora.safetensors", Some(Preset::Hyper1)),
            ("Hyper-SD15-4steps-lora.safetensors", Some(Preset::Hyper4)),
            ("hyper_sd15.safetensors", Some(Preset::Hyper4)),
            ("Hyper-SD15-8steps-CFG-lora.safetensors", None),
            ("Hyper-SD15-12steps-lora.safetensors", None),
            ("sd15_lightning_2step_unet.safetensors", Some(Preset::Lightning2)),
            ("sd15-lightning.ckpt", Some(Preset::Lightning4)),
            ("v1-5-pruned.safetensors", None),
            ("steps", None),
            ("", None),
        ] {
            assert_eq!(Preset::suggested_by(name), expected, "{name}");
        }
    }

    #[test]
    fn a_preset_that_is_not_there_says_why() {
        let error = "lightning-1".parse::<Preset>().unwrap_err().to_string();
        assert!(error.contains("it predicts the sample: --prediction-type sample"), "{error}");
        assert!("hyper".parse::<Preset>().unwrap_err().to_string().contains("for how many steps"));
        assert!("turbo-9".parse::<Preset>().unwrap_err().to_string().starts_with("unknown preset `turbo-9`"));
    }

    #[test]
    fn another_preset_replaces_what_a_picture_has_of_sampling() {
        let mut picture =
            Overrides::from_json(&json!({ "steps": 50, "scheduler": "pndm", "prompt": "a cat", "preset": "none" }))
                .unwrap();
        Preset::Turbo.take_from(&mut picture);
        assert_eq!(picture.to_json(), *json!({ "prompt": "a cat" }).as_object().unwrap());
    }
}
