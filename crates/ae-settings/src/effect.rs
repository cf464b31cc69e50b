//! When an option has an effect: one table of all of them, so that none is without in silence.

use serde_json::Value;

use crate::{Group, InitialNoise, Method, SchedulerKind, Settings, StepIndex, all_options};

/// What of a run no settings tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts")]
pub struct Circumstances {
    /// The U-Net takes the guidance scale as a condition, and makes one prediction a step.
    pub takes_scale: bool,
    /// An objective of the caller's own guides.
    pub own_objective: bool,
    /// Attention maps are shown.
    pub shows_attention: bool,
    /// There is an image to start from.
    pub init_image: bool,
    /// There is a mask of what is drawn anew.
    pub mask: bool,
    /// There are latents to start from.
    pub latents: bool,
    /// The picture is larger than one tile of the decoder.
    pub has_tiles: bool,
}

/// When an option has an effect.
#[derive(Clone, Copy)]
enum Effect {
    /// In every run with a method that reads it.
    Always,
    /// Where it has none it is refused by an error of its own.
    Refused,
    /// Unless there is a reason why not.
    Unless(fn(&Settings, Circumstances) -> Option<String>),
}
use Effect::{Always, Refused, Unless};

/// Every option but those of the group [`Group::Record`].
const EFFECTS: &[(&str, Effect)] = &[
    ("prompt", Always),
    ("negative_prompt", Unless(without_contrast)),
    ("subjects", Unless(without_subjects)),
    ("token_indices", Unless(without_subjects)),
    ("phrases", Always),
    ("pairs", Always),
    ("groups", Always),
    ("boxes", Always),
    ("seed", Unless(without_noise)),
    ("method", Always),
    ("distance", Always),
    ("negatives", Always),
    ("bare_nouns", Always),
    ("intensity", Always),
    ("temperature", Always),
    ("top_k", Always),
    ("overlap_gate", Always),
    ("overlap_target", Unless(|settings, _| without_refinement(settings))),
    ("box_share", Always),
    ("box_reach", Always),
    ("exclusion", Always),
    ("as_published", Always),
    ("preset", Always),
    ("rng", Unless(without_noise)),
    ("initial_noise", Refused),
    (
        "noise_passes",
        Unless(|settings, _| {
            (settings.initial_noise != InitialNoise::InitNo).then(|| "initno alone optimises noise".to_owned())
        }),
    ),
    ("steps", Always),
    ("guidance_scale", Always),
    ("guidance_rescale", Unless(without_contrast)),
    ("height", Always),
    ("width", Always),
    ("scheduler", Always),
    ("timestep_spacing", Refused),
    ("sigmas", Refused),
    ("eta", Refused),
    ("correct_altered_steps", Unless(without_correction)),
    ("vae_tiling", Unless(|_, run| (!run.has_tiles).then(|| "the picture is no larger than a tile".to_owned()))),
    ("clip_skip", Always),
    ("prompt_syntax", Always),
    ("long_prompts", Always),
    ("init_image", Unless(|_, run| (!run.init_image).then(|| "the request holds no image".to_owned()))),
    ("strength", Unless(|_, run| (!run.init_image).then(|| "there is no initial image".to_owned()))),
    ("mask", Unless(|_, run| (!run.mask).then(|| "the request holds no mask".to_owned()))),
    ("mask_blur", Refused),
    ("mask_padding", Refused),
    ("mask_invert", Refused),
    ("mask_overlay", Refused),
    ("model", Always),
    ("dtype", Always),
    ("variant", Refused),
    ("loras", Always),
    ("embeddings", Always),
    ("vae", Always),
    ("prediction_type", Always),
    ("max_iter_to_alter", Always),
    ("thresholds", Unless(|settings, _| never_reached(settings))),
    ("max_refinement_steps", Unless(|settings, _| without_refinement(settings))),
    ("scale_factor", Unless(|settings, _| without_altered_steps(settings))),
    (
        "scale_range",
        Unless(|settings, _| {
            let is_zero = settings.attend_and_excite.scale_factor == 0.0;
            without_altered_steps(settings).or_else(|| is_zero.then(|| "scale_factor is 0".to_owned()))
        }),
    ),
    ("attention_scale", Unless(|settings, _| without_shares(settings))),
    ("attention_res", Unless(|settings, run| if run.shows_attention { None } else { without_altered_steps(settings) })),
    ("smoothing", Unless(|settings, _| without_smoothed_maps(settings))),
    (
        "sigma",
        Unless(|settings, _| {
            let one = settings.attend_and_excite.kernel_size == 1;
            without_smoothing(settings).or_else(|| one.then(|| "a kernel of 1 smooths nothing".to_owned()))
        }),
    ),
    ("kernel_size", Unless(|settings, _| without_smoothing(settings))),
    ("eot_normalization", Unless(|settings, _| without_shares(settings))),
];

impl Settings {
    /// The options whose values differ from those of `defaults` and that have no effect, each with the reason. A picture is the same
    /// without them.
    pub fn without_effect(&self, defaults: &Self, run: Circumstances) -> Vec<(&'static str, String)> {
        let (given, defaults) = (value_of(self), value_of(defaults));
        let options =
            all_options().filter(|(group, option)| given(*group, option.name) != defaults(*group, option.name));
        let reason = |name: &str| {
            unread(self, run, name).or_else(|| match EFFECTS.iter().find(|(known, _)| *known == name)?.1 {
                Unless(reason) => reason(self, run),
                Always | Refused => None,
            })
        };
        let options = options.filter(|(_, option)| option.group != Group::Record);
        options.filter_map(|(_, option)| Some((option.name, reason(option.name)?))).collect()
    }
}

/// The values of settings, by group and name.
fn value_of(settings: &Settings) -> impl Fn(Option<&str>, &str) -> Value + use<> {
    let all = serde_json::to_value(settings).unwrap_or_default();
    move |group, name| group.map_or(&all, |group| &all[group])[name].clone()
}

/// Why there is but one prediction a step.
fn without_contrast(settings: &Settings, run: Circumstances) -> Option<String> {
    if settings.method == Method::ComposableDiffusion {
        return None;
    }
    if run.takes_scale {
        return Some("the model makes one prediction a step, with the guidance scale as a condition".to_owned());
    }
    let scale = settings.guidance_scale;
    (scale <= 1.0).then(|| format!("there is no classifier-free guidance at a guidance scale of {scale}"))
}

/// Why the method does not read an option.
fn unread(settings: &Settings, run: Circumstances, name: &str) -> Option<String> {
    let methods = Method::readers(name)?;
    if run.shows_attention && name == "attention_res" {
        return None;
    }
    if run.own_objective && methods.iter().any(|method| method.guides()) {
        return Some("another objective guides".to_owned());
    }
    if methods.contains(&settings.method) {
        return None;
    }
    let names: Vec<_> = methods.iter().map(|method| method.name()).collect();
    let all_that_guide = Method::ALL.iter().filter(|method| method.guides()).all(|method| methods.contains(method));
    let who = match &names[..] {
        _ if all_that_guide => "methods that guide read".to_owned(),
        [one] => format!("{one} reads"),
        several => format!("{} read", several.join(", ")),
    };
    Some(format!("the method {} does not read it; {who} it", settings.method))
}

fn without_subjects(settings: &Settings, run: Circumstances) -> Option<String> {
    let is_searched = settings.initial_noise != InitialNoise::Seed;
    if run.own_objective || run.shows_attention || is_searched || settings.method.guides() {
        return None;
    }
    Some(format!("the method {} does not guide, and no attention is shown", settings.method))
}

fn without_noise(settings: &Settings, run: Circumstances) -> Option<String> {
    let scheduler = settings.scheduler.filter(|scheduler| !scheduler.draws_noise(settings.eta))?;
    run.latents.then(|| format!("initial latents are given, and {scheduler} draws no noise"))
}

fn without_correction(settings: &Settings, run: Circumstances) -> Option<String> {
    if settings.scheduler.is_some_and(|scheduler| scheduler != SchedulerKind::UniPc) {
        return Some(format!("{} alone corrects steps", SchedulerKind::UniPc));
    }
    if run.own_objective {
        return None;
    }
    let unguided = !settings.method.guides();
    unguided
        .then(|| format!("the method {} alters no step", settings.method))
        .or_else(|| without_altered_steps(settings))
}

/// Why no step is altered.
fn without_altered_steps(settings: &Settings) -> Option<String> {
    let altered = settings.attend_and_excite.max_iter_to_alter.resolve(settings.steps);
    (altered == 0 && without_refinement(settings).is_some()).then(|| "no step is altered".to_owned())
}

/// Why it is not read how attention is shared among the words.
fn without_shares(settings: &Settings) -> Option<String> {
    let is_left_out = matches!(settings.method, Method::SynGen | Method::Ebama) && settings.intensity == Some(0.0);
    without_altered_steps(settings)
        .or_else(|| is_left_out.then(|| "it belongs to the intensity, whose weight is 0".to_owned()))
}

/// Why no map is smoothed, whether that is wanted or not.
fn without_smoothed_maps(settings: &Settings) -> Option<String> {
    // Those of CONFORM are smoothed and not shared.
    if settings.method == Method::Conform { without_altered_steps(settings) } else { without_shares(settings) }
}

fn without_refinement(settings: &Settings) -> Option<String> {
    let own = &settings.attend_and_excite;
    let refined = own.thresholds.resolve(settings.steps, own.max_iter_to_alter.resolve(settings.steps));
    refined.is_empty().then(|| "no step has a threshold".to_owned())
}

/// Why a threshold is never reached.
fn never_reached(settings: &Settings) -> Option<String> {
    if settings.attend_and_excite.max_refinement_steps == 0 {
        return Some("max_refinement_steps is 0".to_owned());
    }
    // PNDM has one more timestep than steps.
    let count = settings.steps + usize::from(settings.scheduler == Some(SchedulerKind::Pndm));
    let late = settings.attend_and_excite.thresholds.iter().find_map(|(step, _)| match step {
        StepIndex::Steps(step) if step >= count => Some(step),
        _ => None,
    });
    late.map(|step| format!("step {step} does not come, since a run of {} steps ends at {}", settings.steps, count - 1))
}

fn without_smoothing(settings: &Settings) -> Option<String> {
    let not_smoothed = !settings.attend_and_excite.smoothing;
    without_smoothed_maps(settings).or_else(|| not_smoothed.then(|| "the maps are not smoothed".to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{Overrides, all_options};

    fn settings(json: &Value) -> Settings {
        Settings::combine([&Overrides::from_json(json).unwrap()]).unwrap()
    }

    const USUAL: Circumstances = Circumstances {
        takes_scale: false,
        own_objective: false,
        shows_attention: false,
        init_image: true,
        mask: true,
        latents: false,
        has_tiles: true,
    };

    fn idle(json: &Value, run: Circumstances) -> Vec<(&'static str, String)> {
        settings(json).without_effect(&Settings::default(), run)
    }

    /// An option, a value, and what else makes it idle.
    type Case = (&'static str, Value, Vec<(Value, Circumstances)>);

    /// Every option with a rule.
    fn cases() -> Vec<Case> {
        let plain = || (json!({ "method": "stable-diffusion" }), USUAL);
        let own = || (json!({}), Circumstances { own_objective: true, ..USUAL });
        let not_altered = || (json!({ "max_iter_to_alter": 0, "thresholds": {} }), USUAL);
        let without = |change: fn(&mut Circumstances)| {
            let mut run = USUAL;
            change(&mut run);
            (json!({}), run)
        };
        let no_contrast = || {
            vec![
                (json!({ "guidance_scale": 1 }), USUAL),
                (json!({ "guidance_scale": 0, "scheduler": "euler" }), USUAL),
                without(|run| run.takes_scale = true),
            ]
        };
        let guided = || vec![plain(), own(), not_altered()];
        let without_intensity = || vec![(json!({ "method": "syngen", "intensity": 0 }), USUAL)];
        let latents = || {
            let run = Circumstances { latents: true, ..USUAL };
            vec![(json!({ "scheduler": "ddim" }), run), (json!({ "scheduler": "tcd" }), run)]
        };
        vec![
            ("negative_prompt", json!("blurry"), no_contrast()),
            ("guidance_rescale", json!(0.7), no_contrast()),
            ("subjects", json!(["cat"]), vec![plain()]),
            ("token_indices", json!([2]), vec![plain()]),
            ("phrases", json!(["a cat"]), vec![plain(), (json!({ "method": "composable-diffusion" }), USUAL)]),
            ("seed", json!(3), latents()),
            ("noise_passes", json!(3), vec![(json!({ "initial_noise": "best:3" }), USUAL)]),
            ("rng", json!("torch-cuda"), latents()),
            (
                "correct_altered_steps",
                json!(true),
                vec![
                    (json!({ "scheduler": "euler" }), USUAL),
                    (json!({ "scheduler": "unipc", "method": "stable-diffusion" }), USUAL),
                    (json!({ "scheduler": "unipc", "max_iter_to_alter": 0, "thresholds": {} }), USUAL),
                ],
            ),
            ("vae_tiling", json!(true), vec![without(|run| run.has_tiles = false)]),
            ("init_image", json!({ "name": "x.png" }), vec![without(|run| run.init_image = false)]),
            ("strength", json!(0.5), vec![without(|run| run.init_image = false)]),
            ("mask", json!({ "name": "x.png" }), vec![without(|run| run.mask = false)]),
            ("max_iter_to_alter", json!(10), vec![plain(), own()]),
            (
                "thresholds",
                json!({ "5": 0.5 }),
                vec![plain(), own(), (json!({ "steps": 5 }), USUAL), (json!({ "max_refinement_steps": 0 }), USUAL)],
            ),
            ("max_refinement_steps", json!(3), vec![plain(), own(), (json!({ "thresholds": {} }), USUAL)]),
            ("scale_factor", json!(5.0), guided()),
            ("scale_range", json!([1.0, 0.2]), [guided(), vec![(json!({ "scale_factor": 0 }), USUAL)]].concat()),
            ("overlap_target", json!(0.5), vec![(json!({ "thresholds": {} }), USUAL)]),
            ("attention_scale", json!(20.0), [guided(), without_intensity()].concat()),
            ("attention_res", json!([16, 16]), guided()),
            ("smoothing", json!(false), [guided(), without_intensity()].concat()),
            (
                "sigma",
                json!(1.5),
                [guided(), vec![(json!({ "smoothing": false }), USUAL), (json!({ "kernel_size": 1 }), USUAL)]].concat(),
            ),
            ("kernel_size", json!(5), [guided(), vec![(json!({ "smoothing": false }), USUAL)]].concat()),
            ("eot_normalization", json!("on"), guided()),
        ]
    }

    /// A value, under others, each where the table has it.
    fn with(name: &str, value: &Value, others: &Value) -> Value {
        let mut all = json!({ "prompt": "a cat" });
        let named = others
            .as_object()
            .unwrap()
            .iter()
            .chain([(&name.to_owned(), value)])
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<Vec<_>>();
        for (name, value) in named {
            let (group, _) = all_options().find(|(_, option)| option.name == name).unwrap();
            match group {
                Some(group) => all[group][name] = value,
                None => all[name] = value,
            }
        }
        all
    }

    #[test]
    fn every_option_stands_in_the_table_once() {
        let known: Vec<_> = EFFECTS.iter().map(|(name, _)| *name).collect();
        let options: Vec<_> =
            all_options().filter(|(_, option)| option.group != Group::Record).map(|(_, option)| option.name).collect();
        for name in &options {
            assert_eq!(known.iter().filter(|known| *known == name).count(), 1, "{name}: when does it have an effect?");
        }
        assert_eq!(known.len(), options.len());
        let with_rule = EFFECTS.iter().filter(|(_, effect)| matches!(effect, Unless(_))).map(|(name, _)| *name);
        let cases = cases();
        for name in with_rule {
            assert!(cases.iter().any(|(case, ..)| *case == name), "{name} has no case");
        }
    }

    #[test]
    fn every_rule_is_said_where_the_option_has_no_effect_and_nowhere_else() {
        for (name, value, idle_cases) in cases() {
            let method = Method::readers(name).map_or(Method::AttendAndExcite, |methods| methods[0]);
            let scheduler = if name == "correct_altered_steps" { "unipc" } else { "pndm" };
            let noise = if name == "noise_passes" { "initno" } else { "seed" };
            let usual =
                with(name, &value, &json!({ "method": method, "scheduler": scheduler, "initial_noise": noise }));
            assert_eq!(idle(&usual, USUAL), [], "{name}");
            for (others, run) in idle_cases {
                let given = with(name, &value, &others);
                let found = idle(&given, run);
                assert!(found.iter().any(|(found, reason)| *found == name && reason.len() > 10), "{given}: {found:?}");
            }
        }
        assert_eq!(idle(&json!({ "prompt": "a cat", "method": "stable-diffusion" }), Circumstances::default()), []);
    }

    /// Of every option that not all methods read, and every method.
    #[test]
    fn what_the_method_does_not_read_is_said() {
        for (_, option) in all_options() {
            let Some(readers) = Method::readers(option.name) else { continue };
            for method in Method::ALL {
                let other = Settings { method: *method, ..Settings::default() };
                assert_eq!(unread(&other, USUAL, option.name).is_none(), readers.contains(method), "{}", option.name);
            }
        }
        let idle = idle(&json!({ "method": "syngen", "top_k": 3, "exclusion": 0.1 }), USUAL);
        let reasons: Vec<_> = idle.iter().map(|(_, reason)| reason.as_str()).collect();
        assert_eq!(
            reasons,
            [
                "the method syngen does not read it; self-cross reads it",
                "the method syngen does not read it; predicated reads it"
            ]
        );
    }

    #[test]
    fn what_is_shown_or_composed_has_an_effect() {
        let shown = Circumstances { shows_attention: true, ..USUAL };
        assert_eq!(idle(&json!({ "method": "stable-diffusion", "subjects": ["cat"] }), shown), []);
        let parts = json!({ "method": "composable-diffusion", "guidance_scale": 1, "negative_prompt": "blurry" });
        assert_eq!(idle(&parts, USUAL), []);
        let drawn = Circumstances { latents: true, ..USUAL };
        assert_eq!(idle(&json!({ "scheduler": "euler-a", "seed": 3 }), drawn), []);
        assert_eq!(idle(&json!({ "scheduler": "ddim", "eta": 0.5, "seed": 3 }), drawn), []);
        let pndm = json!({ "scheduler": "pndm", "steps": 20, "attend_and_excite": { "thresholds": { "20": 0.5 } } });
        assert_eq!(idle(&pndm, USUAL), []);
        let reason =
            idle(&json!({ "steps": 20, "attend_and_excite": { "thresholds": { "0": 0.1, "30": 0.5 } } }), USUAL);
        assert_eq!(reason[0].1, "step 30 does not come, since a run of 20 steps ends at 19");
    }

    #[test]
    fn the_models_own_values_are_not_the_users() {
        let mut of_model = Settings::default();
        of_model.attend_and_excite.attention_scale = 20.0;
        let mut drawn = of_model.clone();
        drawn.method = Method::StableDiffusion;
        assert_eq!(drawn.without_effect(&of_model, USUAL), []);
        assert_eq!(drawn.without_effect(&Settings::default(), USUAL).len(), 1);
    }
}
