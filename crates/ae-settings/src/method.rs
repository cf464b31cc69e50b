//! The methods: what each is called, which options it reads, and what it does where nothing is given.

use serde_json::{Value, json};

use crate::choice::choices;
use crate::{AttendAndExciteOverrides, Overrides};

choices! {
    /// How the latents are led.
    "method" Method {
        /// Guidance towards the subjects (Chefer et al. 2023).
        AttendAndExcite = "attend-and-excite",
        /// Plain sampling.
        StableDiffusion = "stable-diffusion",
        /// Modifiers attend where their nouns do, and away from the rest (Rassin et al. 2023).
        SynGen = "syngen",
        /// The same by angles, and every noun somewhere (Zhang et al. 2024).
        Ebama = "ebama",
        /// The regions of the subjects do not attend to each other (Qiu et al. 2025).
        SelfCross = "self-cross",
        /// Noise that is optimised before the run, and regions that do not overlap (Guo et al. 2024).
        InitNo = "initno",
        /// The words of a group are alike, and unlike those of other groups (Meral et al. 2024).
        Conform = "conform",
        /// Each subject in its box (Xie et al. 2023).
        BoxDiff = "boxdiff",
        /// Maps that vary much, and attributes where their subjects are (Li et al. 2023).
        DivideAndBind = "divide-and-bind",
        /// The prompt as propositions of fuzzy logic (Sueyoshi and Matsubara 2024).
        Predicated = "predicated",
        /// Values of the noun phrases besides those of the prompt (Feng et al. 2022).
        StructureDiffusion = "structure-diffusion",
        /// The parts of the prompt by themselves, "a cat AND a dog" (Liu et al. 2022).
        ComposableDiffusion = "composable-diffusion",
    }
}

use Method::{
    AttendAndExcite, BoxDiff, ComposableDiffusion, Conform, DivideAndBind, Ebama, InitNo, Predicated, SelfCross,
    StableDiffusion, StructureDiffusion, SynGen,
};

/// The methods that guide by a loss over attention maps.
const GUIDED: &[Method] =
    &[AttendAndExcite, SynGen, Ebama, SelfCross, InitNo, Conform, BoxDiff, DivideAndBind, Predicated];
/// Those that read how attention is shared among the words.
const SHARES: &[Method] = &[AttendAndExcite, SynGen, Ebama, SelfCross, InitNo, BoxDiff, DivideAndBind, Predicated];
/// Those that read which words belong together.
const BINDING: &[Method] = &[SynGen, Ebama, Conform, DivideAndBind, Predicated];
/// The two settings of one objective.
const PAIRS: &[Method] = &[SynGen, Ebama];

/// The options that not every method reads, with those that do. `subjects` and `token_indices` are not among them: the maps of subjects
/// can be shown with any method.
const READERS: &[(&str, &[Method])] = &[
    ("phrases", &[StructureDiffusion]),
    ("pairs", BINDING),
    ("groups", BINDING),
    ("boxes", &[BoxDiff]),
    ("distance", PAIRS),
    ("negatives", PAIRS),
    ("bare_nouns", PAIRS),
    ("intensity", PAIRS),
    ("temperature", &[Conform]),
    ("top_k", &[SelfCross]),
    ("overlap_gate", &[SelfCross]),
    ("overlap_target", &[SelfCross, InitNo]),
    ("box_share", &[BoxDiff]),
    ("box_reach", &[BoxDiff]),
    ("exclusion", &[Predicated]),
    ("as_published", &[SynGen, DivideAndBind]),
    ("max_iter_to_alter", GUIDED),
    ("thresholds", GUIDED),
    ("max_refinement_steps", GUIDED),
    ("scale_factor", GUIDED),
    ("scale_range", GUIDED),
    ("attention_scale", SHARES),
    ("attention_res", GUIDED),
    ("smoothing", GUIDED),
    ("sigma", GUIDED),
    ("kernel_size", GUIDED),
    ("eot_normalization", SHARES),
];

impl Method {
    /// Its name in titles and tables.
    pub const fn title(self) -> &'static str {
        match self {
            AttendAndExcite => "Attend-and-Excite",
            StableDiffusion => "Stable Diffusion",
            SynGen => "SynGen",
            Ebama => "EBAMA",
            SelfCross => "Self-Cross",
            InitNo => "InitNO",
            Conform => "CONFORM",
            BoxDiff => "BoxDiff",
            DivideAndBind => "Divide & Bind",
            Predicated => "Predicated Diffusion",
            StructureDiffusion => "StructureDiffusion",
            ComposableDiffusion => "Composable Diffusion",
        }
    }

    /// The title of the method of a name; the name itself where no method has it.
    pub fn title_of(name: &str) -> &str {
        name.parse::<Self>().map_or(name, |method| method.title())
    }

    /// Whether it guides by a loss over attention maps.
    pub fn guides(self) -> bool {
        GUIDED.contains(&self)
    }

    /// Whether its refinement ends at a threshold. That of the others has a number of updates.
    pub fn has_thresholds(self) -> bool {
        matches!(self, AttendAndExcite | SelfCross | InitNo | BoxDiff | DivideAndBind)
    }

    /// The methods that read an option of [`Settings`](crate::Settings), by its name; none where all do.
    pub fn readers(option: &str) -> Option<&'static [Self]> {
        READERS.iter().find(|(name, _)| *name == option).map(|(_, methods)| *methods)
    }

    /// Whether it reads an option, by its name.
    pub fn reads(self, option: &str) -> bool {
        Self::readers(option).is_none_or(|methods| methods.contains(&self))
    }

    /// The options that this method reads and not every other does, by their names.
    pub fn own_options(self) -> Vec<&'static str> {
        READERS.iter().filter(|(_, methods)| methods.contains(&self)).map(|(name, _)| *name).collect()
    }

    /// What its paper or its published code has for the options that it reads, where that is not the default of the option.
    ///
    /// Sources: the papers, and their code as far as it differs (docs/objectives.md).
    pub fn defaults(self) -> Overrides {
        let none: Value = json!({});
        // The step size is the same at every step.
        let constant = |max_iter_to_alter: &str| json!({ "max_iter_to_alter": max_iter_to_alter, "thresholds": none, "scale_factor": 20, "scale_range": [1, 1] });
        let regions = json!({ "thresholds": { "20%": 0.8, "40%": 0.8 } });
        let own = match self {
            AttendAndExcite | BoxDiff | StableDiffusion | StructureDiffusion | ComposableDiffusion => none,
            SynGen => {
                json!({ "distance": "kl", "negatives": "both", "intensity": 0, "attend_and_excite": constant("50%") })
            }
            // 26 of 50.
            Ebama => {
                json!({ "distance": "cosine", "negatives": "noun", "intensity": 0.5, "attend_and_excite": constant("52%") })
            }
            SelfCross => json!({ "attend_and_excite": regions }),
            InitNo => json!({ "initial_noise": "initno", "attend_and_excite": regions }),
            Conform => {
                let thresholds = json!({ "0%": 1, "20%": 1, "40%": 1 });
                json!({ "attend_and_excite": { "max_iter_to_alter": "60%", "thresholds": thresholds } })
            }
            DivideAndBind => {
                json!({ "attend_and_excite": { "thresholds": { "0%": 0.05, "20%": 0.2, "40%": 0.3 } } })
            }
            // The paper's is not known. Its loss is a sum over patches: the embedded model takes no more.
            Predicated => json!({ "attend_and_excite": { "thresholds": none, "scale_factor": 0.1 } }),
        };
        Overrides::from_json(&own).unwrap_or_else(|error| unreachable!("{self}: {error}"))
    }

    /// Takes out of the settings of a picture what belongs to its own method, as where it is drawn again by this one.
    pub fn take_from(self, settings: &mut Overrides) {
        if settings.method.unwrap_or(AttendAndExcite) == self {
            return;
        }
        settings.attend_and_excite = AttendAndExciteOverrides::default();
        settings.distance = None;
        settings.negatives = None;
        settings.intensity = None;
        settings.initial_noise = None;
        settings.method = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Group, Settings, all_options};

    #[test]
    fn every_option_with_readers_is_an_option() {
        for (name, methods) in READERS {
            assert!(all_options().any(|(_, option)| option.name == *name), "{name}");
            assert!(!methods.is_empty() && READERS.iter().filter(|(other, _)| other == name).count() == 1, "{name}");
        }
        // What guides and what belongs to one objective is not read by plain sampling.
        for (_, option) in all_options().filter(|(_, o)| matches!(o.group, Group::AttendAndExcite | Group::Objective)) {
            assert!(!StableDiffusion.own_options().contains(&option.name), "{}", option.name);
            assert!(Method::readers(option.name).is_some(), "{}", option.name);
        }
    }

    #[test]
    fn methods_read_what_their_defaults_name() {
        for method in Method::ALL {
            let defaults = method.defaults().to_json();
            let group = defaults.get("attend_and_excite").and_then(Value::as_object);
            let names = defaults
                .keys()
                .filter(|name| *name != "attend_and_excite")
                .chain(group.into_iter().flat_map(|group| group.keys()));
            for name in names {
                assert!(method.reads(name), "{method}: {name}");
            }
            assert_eq!(method.guides(), method.own_options().contains(&"scale_factor"), "{method}");
            // A refinement that ends at no threshold has steps, not thresholds.
            let all = Settings::combine([&method.defaults()]).unwrap().attend_and_excite.thresholds;
            if method.guides() && !method.has_thresholds() {
                assert!(all.iter().all(|(_, threshold)| (threshold - 1.0).abs() < f64::EPSILON), "{method}");
            }
        }
    }

    #[test]
    fn another_method_takes_its_own_parameters() {
        let drawn = json!({ "method": "syngen", "prompt": "a cat", "intensity": 0.0, "pairs": ["red:cat"],
            "attend_and_excite": { "scale_factor": 20.0 } });
        let read = Overrides::from_json(&drawn).unwrap();
        let taken = |method: Method| {
            let mut read = read.clone();
            method.take_from(&mut read);
            read
        };
        assert_eq!(taken(SynGen), read);
        assert_eq!(Value::from(taken(Ebama).to_json()), json!({ "prompt": "a cat", "pairs": ["red:cat"] }));
    }
}
