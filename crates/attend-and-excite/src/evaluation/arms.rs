use std::path::PathBuf;

use ae_eval::Prompt;
use ae_pipeline::{Pipeline, PipelineError};
use ae_settings::{Method, Overrides, Settings, StepIndex, Thresholds};

use crate::{Error, with_prompt_networks};

/// A part of the settings that an evaluation compares: a method, or a method with certain settings.
#[derive(Clone, Debug)]
pub struct ArmSettings {
    /// Its name, which is also that of its folder.
    pub name: String,
    /// What it changes.
    pub overrides: Overrides,
}

impl ArmSettings {
    /// A method as the other settings say.
    pub fn of(method: Method) -> Self {
        Self::changed(method.name(), method, |_| {})
    }

    fn changed(name: impl Into<String>, method: Method, change: impl FnOnce(&mut Overrides)) -> Self {
        let mut overrides = Overrides::default();
        overrides.method = Some(method);
        change(&mut overrides);
        Self { name: name.into(), overrides }
    }

    /// The settings of a prompt, over those that all arms share. The LoRAs that it names are looked for in `lora_folders`, as
    /// [`with_prompt_networks`] says.
    ///
    /// # Errors
    ///
    /// When one of them is not there.
    pub fn settings(&self, shared: &Overrides, prompt: &Prompt, lora_folders: &[PathBuf]) -> Result<Overrides, Error> {
        let mut own = self.overrides.clone();
        own.prompt = Some(prompt.text.clone());
        match (&prompt.subjects, &prompt.token_indices) {
            (Some(words), _) => own.subjects = Some(words.clone()),
            (None, indices) => own.token_indices.clone_from(indices),
        }
        with_prompt_networks(&shared.clone().over(&own), lora_folders, &[])
    }
}

/// What an ablation varies; everything else is as the settings say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Ablation {
    /// The latents are updated at the first half of the steps, or at all (paper, Fig. 12).
    AlteredSteps,
    /// With and without Gaussian smoothing of the maps.
    Smoothing,
    /// With and without iterative refinement.
    Refinement,
    /// The thresholds of refinement: each alone, and stricter ones.
    Thresholds,
    /// Step sizes from a quarter to four times the default.
    ScaleFactor,
    /// The factor before the softmax over tokens: the model's own, and from 5 to 100.
    AttentionScale,
    /// Each resolution at which the U-Net has cross-attention.
    AttentionResolution,
}

impl Ablation {
    /// Plain sampling, the method as the settings say, and what the ablation makes of it.
    ///
    /// # Errors
    ///
    /// When the settings cannot be drawn.
    pub fn arms(self, pipeline: &Pipeline, shared: &Overrides) -> Result<Vec<ArmSettings>, PipelineError> {
        let request = pipeline.request_with(shared)?;
        let Settings { steps, ref attend_and_excite, .. } = request.settings;
        let mut arms = vec![ArmSettings::of(Method::StableDiffusion)];
        let mut add = |name: String, change: &dyn Fn(&mut Overrides)| {
            arms.push(ArmSettings::changed(name, Method::AttendAndExcite, change));
        };
        match self {
            Self::AlteredSteps => {
                let half = attend_and_excite.max_iter_to_alter.resolve(steps);
                add(format!("first-{half}-steps"), &|_| {});
                // PNDM has one more timestep than steps.
                let all = Some(StepIndex::Steps(steps + 1));
                add("all-steps".to_owned(), &|own| own.attend_and_excite.max_iter_to_alter = all);
            }
            Self::Smoothing => {
                add("smoothed".to_owned(), &|_| {});
                add("not-smoothed".to_owned(), &|own| own.attend_and_excite.smoothing = Some(false));
            }
            Self::Refinement => {
                add("refined".to_owned(), &|_| {});
                add("not-refined".to_owned(), &|own| own.attend_and_excite.thresholds = Some(Thresholds::none()));
            }
            Self::Thresholds => {
                let percent = |pairs: &[(f64, f64)]| {
                    Thresholds::new(pairs.iter().map(|(step, threshold)| (StepIndex::Percent(*step), *threshold)))
                };
                add("default".to_owned(), &|_| {});
                for (step, threshold) in [(0.0, 0.05), (20.0, 0.5), (40.0, 0.8)] {
                    // In the paper's 50 steps.
                    let index = StepIndex::Percent(step).resolve(50);
                    let only = Some(percent(&[(step, threshold)]));
                    add(format!("only-{index}"), &|own| own.attend_and_excite.thresholds.clone_from(&only));
                }
                let strict = Some(percent(&[(0.0, 0.5), (10.0, 0.7), (20.0, 0.8), (30.0, 0.9), (40.0, 0.9)]));
                add("stricter".to_owned(), &|own| own.attend_and_excite.thresholds.clone_from(&strict));
            }
            Self::ScaleFactor => {
                for factor in [0.25, 0.5, 1.0, 2.0, 4.0].map(|times| times * attend_and_excite.scale_factor) {
                    add(format!("scale-{factor}"), &|own| own.attend_and_excite.scale_factor = Some(factor));
                }
            }
            Self::AttentionScale => {
                let mut scales = vec![5.0, 15.0, 50.0, 100.0, attend_and_excite.attention_scale];
                scales.sort_by(f64::total_cmp);
                scales.dedup();
                for scale in scales {
                    add(format!("attention-scale-{scale}"), &|own| own.attend_and_excite.attention_scale = Some(scale));
                }
            }
            Self::AttentionResolution => {
                for [rows, cols] in pipeline.attention_resolutions(&request)? {
                    let maps = Some([rows, cols]);
                    add(format!("maps-{rows}x{cols}"), &|own| own.attend_and_excite.attention_res = maps);
                }
            }
        }
        Ok(arms)
    }
}
