use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use ae_eval::{Folder, PictureCost, Plan, Prompt, Shard};
use ae_pipeline::{Event, Trace};
use ae_settings::{LoraRef, Overrides};

use super::{ArmSettings, distinct};
use crate::{Error, LoadedModel, write_png};

/// Everything there is to draw.
#[derive(Debug)]
pub struct Evaluation<'a> {
    /// Pictures that are drawn together.
    pub batch_size: usize,
    /// Where they go.
    pub folder: &'a Folder,
    /// What is compared.
    pub arms: &'a [ArmSettings],
    /// All of it.
    pub plan: &'a Plan,
    /// The settings of all arms.
    pub given: &'a Overrides,
    /// Where LoRAs that prompts name are looked for.
    pub lora_folders: &'a [PathBuf],
}

/// Pictures that are drawn together.
#[derive(Debug)]
pub struct Unit<'a> {
    /// Its arm.
    pub arm: &'a ArmSettings,
    /// The place of the arm among all.
    pub arm_index: usize,
    /// Its prompt.
    pub prompt: &'a Prompt,
    /// Their seeds.
    pub seeds: Vec<u64>,
    /// Their settings, with the LoRAs that the prompt names.
    pub settings: Overrides,
}

impl Unit<'_> {
    /// The LoRAs that the model must have.
    pub fn loras(&self) -> &[LoraRef] {
        self.settings.loras.as_deref().unwrap_or_default()
    }
}

/// What a picture cost that took so many seconds.
fn cost(trace: &Trace, seconds: f64) -> PictureCost {
    let evaluations = trace.steps.iter().filter_map(|step| step.guidance.as_ref()).map(|seen| seen.evaluations.len());
    PictureCost {
        seconds,
        steps: trace.steps.len(),
        guidance_passes: evaluations.sum(),
        refinement_updates: trace.refinement_steps(),
        noise_passes: trace.initial_noise.as_ref().map_or(0, |noise| noise.passes),
    }
}

impl Evaluation<'_> {
    /// What is missing, prompt by prompt, so that all arms come equally far; what is drawn with the same LoRAs stands together.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read, or a LoRA that a prompt names is not there.
    pub fn work(&self, shard: Shard) -> Result<Vec<Unit<'_>>, Error> {
        let mut units = Vec::new();
        for (prompt, (arm_index, arm)) in self.places(shard) {
            let seeds = self.folder.missing(&arm.name, &prompt.text, &self.plan.seeds)?;
            if seeds.is_empty() {
                continue;
            }
            let settings = arm.settings(self.given, prompt, self.lora_folders)?;
            let unit =
                |seeds: &[u64]| Unit { arm, arm_index, prompt, seeds: seeds.to_vec(), settings: settings.clone() };
            units.extend(seeds.chunks(self.batch_size).map(unit));
        }
        // A model changes its LoRAs as seldom as can be.
        let sets = distinct(units.iter().map(|unit| unit.settings.loras.clone()));
        units.sort_by_key(|unit| sets.iter().position(|set| *set == unit.settings.loras));
        Ok(units)
    }

    /// Draws a unit and writes its pictures into the folder, with a model that has its LoRAs; `ends` says when to stop.
    ///
    /// # Errors
    ///
    /// When it cannot be drawn or written, or was stopped.
    ///
    /// # Panics
    ///
    /// Never: memory takes a picture.
    pub fn draw(
        &self,
        unit: &Unit<'_>,
        model: &LoadedModel,
        ends: impl Fn() -> bool + Send + Sync,
    ) -> Result<(), Error> {
        let pipeline = &model.pipeline;
        let mut request = pipeline.request_with(&unit.settings)?;
        request.seeds.clone_from(&unit.seeds);
        let prepared = pipeline.prepare(&request)?;
        let mut go_on = |_: Event<'_>| if ends() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let start = Instant::now();
        let drawn = pipeline.draw(&prepared, &mut go_on)?.pictures;
        let seconds = start.elapsed().as_secs_f64() / drawn.len() as f64;
        for picture in &drawn {
            let settings = model.settings(&prepared, picture.seed);
            let mut png = Vec::new();
            write_png(&mut png, &picture.image, &settings, &picture.trace.subjects).expect("memory takes it");
            self.folder.write_cost(&unit.arm.name, &unit.prompt.text, picture.seed, &cost(&picture.trace, seconds))?;
            self.folder.write_picture(&unit.arm.name, &unit.prompt.text, picture.seed, &png)?;
        }
        Ok(())
    }

    /// The pictures of a shard, drawn or not.
    pub fn pictures(&self, shard: Shard) -> usize {
        self.places(shard).count() * self.plan.seeds.len()
    }

    fn places(&self, shard: Shard) -> impl Iterator<Item = (&Prompt, (usize, &ArmSettings))> {
        let prompts = self.plan.prompts.iter().enumerate();
        prompts.flat_map(move |(index, prompt)| {
            let arms = self.arms.iter().enumerate().filter(move |(arm, _)| shard.has(*arm, index));
            arms.map(move |arm| (prompt, arm))
        })
    }
}
