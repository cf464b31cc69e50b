use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ae_eval::{Folder, Plan, Prompt, Shard};
use ae_pipeline::PipelineError;
use ae_settings::Settings;
use attend_and_excite::evaluation::{ArmSettings, Evaluation, Unit, distinct, prompts};
use attend_and_excite::{Align, LoadedModel, add_lora_files, table, work_through};
use serde_json::Value;

use crate::Verbosity;
use crate::args::EvalRunArgs;
use crate::error::CliError;
use crate::interrupts::Interrupts;
use crate::models;
use crate::output::{print_path, say, try_places};

/// Time between two lines that say how far it is.
const PACE: Duration = Duration::from_secs(30);

/// Draws what is missing of an evaluation.
pub(super) fn run(args: &EvalRunArgs, verbosity: Verbosity, interrupts: &Interrupts) -> Result<(), CliError> {
    let shard = match args.shard {
        Some(shard) => shard,
        None => Shard::from_environment(|name| std::env::var(name).ok())?.unwrap_or(Shard::WHOLE),
    };
    let prompts = prompts(&args.prompts, args.limit)?;
    let interrupted = interrupts.flag();
    let given = &args.settings.given;
    try_places("--output", [args.output.as_path()])?;
    let mut models = models::load(given, &args.devices, verbosity.quiet, &interrupted)?;
    let arms = match args.ablation {
        Some(ablation) => ablation.arms(&models[0].pipeline, given)?,
        None => distinct(args.methods.iter().copied()).into_iter().map(ArmSettings::of).collect(),
    };
    let folder = Folder::new(&args.output);
    let (plan, batch_size) = plan(args, &models, &arms, prompts)?;
    folder.begin(&plan)?;

    let lora_folders = args.lora_dir.as_slice();
    let all = Evaluation { batch_size, folder: &folder, arms: &arms, plan: &plan, given, lora_folders };
    let work = all.work(shard)?;
    let missing: usize = work.iter().map(|unit| unit.seeds.len()).sum();
    if !verbosity.quiet {
        let part =
            if shard == Shard::WHOLE { String::new() } else { format!(", shard {}/{}", shard.index, shard.count) };
        let count = |number: usize, thing: &str| format!("{number} {thing}{}", if number == 1 { "" } else { "s" });
        let (prompts, arms) = (count(plan.prompts.len(), "prompt"), count(arms.len(), "method"));
        let of = format!("{prompts} by {arms} with {}{part}", count(plan.seeds.len(), "seed"));
        let place = folder.pictures().display();
        say(&match all.pictures(shard) - missing {
            0 => format!("Drawing {} into {place}: {of}", count(missing, "picture")),
            there => format!("Drawing {} into {place}, where {there} are already: {of}", count(missing, "picture")),
        });
    }
    let mut drawing = Drawing::new(&all, missing, verbosity);
    for units in work.chunk_by(|one, other| one.loras() == other.loras()) {
        let embeddings = models[0].embeddings().to_vec();
        models = models::with_additions(models, units[0].loras(), &embeddings, verbosity.quiet)?;
        drawing.draw(&models, units, &interrupted)?;
    }
    drawing.finish(&models)
}

/// What the folder will hold, and how many pictures are drawn together, whatever arm and prompt they are of.
fn plan(
    args: &EvalRunArgs,
    models: &[LoadedModel],
    arms: &[ArmSettings],
    prompts: Vec<Prompt>,
) -> Result<(Plan, usize), CliError> {
    let (model, pipeline) = (&models[0], &models[0].pipeline);
    let given = &args.settings.given;
    let shared_loras = given.loras.as_deref().unwrap_or_default().len();
    let (mut planned, mut files) = (Vec::new(), BTreeMap::new());
    // What has no effect in one arm may have one in another.
    let mut notes: Option<BTreeSet<String>> = None;
    let mut batch: Option<(usize, Option<String>)> = None;
    for arm in arms {
        let mut shared: Option<Settings> = None;
        for prompt in &prompts {
            // Before anything is drawn, not after hours.
            let mut prepare = || -> Result<_, CliError> {
                let own = arm.settings(given, prompt, &args.lora_dir)?;
                add_lora_files(&mut files, &own.loras.as_deref().unwrap_or_default()[shared_loras..])?;
                let mut request = pipeline.request_with(&own)?;
                request.seeds.clone_from(&args.seeds.0);
                Ok(pipeline.prepare(&request)?)
            };
            let named = |error| CliError::Prompt { prompt: prompt.text.clone(), error: Box::new(error) };
            let prepared = prepare().map_err(named)?;
            shared.get_or_insert_with(|| model.settings(&prepared, 0));
            let own = args.devices.batch_size.on(models, &prepared);
            batch = batch.filter(|(size, _)| *size <= own.0).or(Some(own));
            // The subjects are the benchmark's, and scored in every arm.
            let own = prepared
                .notes()
                .iter()
                .filter(|note| !note.starts_with("subjects ") && !note.starts_with("token_indices "));
            let own: BTreeSet<String> = own.cloned().collect();
            notes = Some(notes.map_or_else(|| own.clone(), |all| &all & &own));
        }
        if let Some(shared) = shared {
            let settings = Value::Object(shared.of_any_prompt());
            planned.push(ae_eval::Arm { name: arm.name.clone(), settings });
        }
    }
    let (batch_size, note) = batch.unwrap_or((1, None));
    notes.into_iter().flatten().chain(note).for_each(|note| say(&format!("note: {note}")));
    Ok((
        Plan { model: pipeline.name().to_owned(), arms: planned, prompts, seeds: args.seeds.0.clone(), files },
        batch_size,
    ))
}

/// How far the pictures are.
struct Drawing<'a> {
    all: &'a Evaluation<'a>,
    missing: usize,
    verbosity: Verbosity,
    started: Instant,
    said: Instant,
    finished: usize,
    /// Pictures and seconds of a device for every arm.
    arms: Vec<(usize, f64)>,
    /// Pictures that have no finite values, and what was said of the first.
    failed: usize,
    failure: Option<String>,
}

impl<'a> Drawing<'a> {
    fn new(all: &'a Evaluation<'a>, missing: usize, verbosity: Verbosity) -> Self {
        let now = Instant::now();
        let arms = vec![(0, 0.0); all.arms.len()];
        Self { all, missing, verbosity, started: now, said: now, finished: 0, arms, failed: 0, failure: None }
    }

    /// Draws every unit once, on whichever device is free. The first error ends the others.
    fn draw(
        &mut self,
        models: &[LoadedModel],
        work: &[Unit<'_>],
        interrupted: &Arc<AtomicBool>,
    ) -> Result<(), CliError> {
        let all = self.all;
        let draw = |model: &LoadedModel, unit: &&Unit<'_>, stop: &AtomicBool| {
            let start = Instant::now();
            let ends = || interrupted.load(Ordering::SeqCst) || stop.load(Ordering::SeqCst);
            let failure = match all.draw(unit, model, ends) {
                Ok(()) => None,
                // A setting may be too much for some pictures; the others are still to be seen.
                Err(attend_and_excite::Error::Pipeline(
                    error @ (PipelineError::NotFinite { .. } | PipelineError::Guidance(_)),
                )) => Some(format!("'{}' of {}: {error}", unit.prompt.text, unit.arm.name)),
                Err(error) => return Err(CliError::from(error)),
            };
            Ok((unit.arm_index, unit.seeds.len(), start.elapsed(), failure))
        };
        let units: Vec<_> = work.iter().collect();
        let result = work_through(models, &units, draw, |(arm, pictures, took, failure)| {
            self.finished(arm, pictures, took, failure);
            Ok(())
        });
        result.map_err(|error| match error {
            CliError::Draw(attend_and_excite::Error::Pipeline(PipelineError::Interrupted)) => {
                CliError::Interrupted { finished: self.finished }
            }
            error => error,
        })
    }

    fn finished(&mut self, arm: usize, pictures: usize, took: Duration, failure: Option<String>) {
        if let Some(failure) = failure {
            self.failed += pictures;
            self.failure.get_or_insert(failure);
        } else {
            self.finished += pictures;
            let (drawn, seconds) = &mut self.arms[arm];
            *drawn += pictures;
            *seconds += took.as_secs_f64();
        }
        if !self.verbosity.quiet && self.said.elapsed() >= PACE {
            self.said = Instant::now();
            let done = self.finished + self.failed;
            let left = self.started.elapsed().as_secs_f64() / done as f64 * (self.missing - done) as f64;
            say(&format!("{done}/{} pictures, {} min left", self.missing, (left / 60.0).ceil()));
        }
    }

    /// Says what came of it.
    fn finish(&self, models: &[LoadedModel]) -> Result<(), CliError> {
        if !self.verbosity.quiet && self.finished > 0 {
            let devices = models.iter().map(|model| model.device.to_string()).collect::<Vec<_>>().join(", ");
            let minutes = self.started.elapsed().as_secs_f64() / 60.0;
            say(&format!("{} pictures in {minutes:.1} min on {devices}", self.finished));
            let rows = self.all.arms.iter().zip(&self.arms).filter(|(_, (pictures, _))| *pictures > 0);
            let rows = rows.map(|(arm, (pictures, seconds))| {
                [arm.name.clone(), pictures.to_string(), format!("{:.2} s", seconds / *pictures as f64)]
            });
            let header = ["method", "pictures", "each"].map(str::to_owned);
            let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
            say(table([Align::Left, Align::Right, Align::Right], &rows).trim_end());
        }
        if let Some(first) = &self.failure {
            let pictures = self.missing;
            return Err(CliError::NotDrawn { failed: self.failed, pictures, first: first.clone() });
        }
        print_path(self.all.folder.pictures());
        Ok(())
    }
}
