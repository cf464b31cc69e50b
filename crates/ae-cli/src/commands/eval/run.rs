use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ae_eval::{Folder, Plan, Prompt, Shard};
use ae_pipeline::{PipelineError, Request};

use super::arms::{Arm, arms};
use super::prompts::prompts;
use super::work::{Evaluation, Unit};
use crate::args::EvalRunArgs;
use crate::error::CliError;
use crate::interrupts::Interrupts;
use crate::output::{Align, Record, encode_png, print_path, say, table};
use crate::painter::Painter;
use crate::requests::request;

/// Time between two lines that say how far it is.
const PACE: Duration = Duration::from_secs(30);

/// Draws what is missing of an evaluation.
pub(super) fn run(args: &EvalRunArgs, interrupts: &Interrupts) -> Result<(), CliError> {
    let shard = match args.shard {
        Some(shard) => shard,
        None => Shard::from_environment(|name| std::env::var(name).ok())?.unwrap_or(Shard::WHOLE),
    };
    let prompts = prompts(&args.prompts, args.limit)?;
    let interrupted = interrupts.flag();
    let painters = Painter::load_all(args.model.as_deref(), &[], &args.devices, &args.load, args.quiet, &interrupted)?;
    let arms = arms(args, &painters[0].pipeline)?;
    let folder = Folder::new(&args.output);
    let plan = plan(args, &painters[0], &arms, prompts)?;
    folder.begin(&plan)?;

    let all = Evaluation { args, folder: &folder, arms: &arms, plan: &plan };
    let work = all.work(shard)?;
    let drawing = Drawing::new(&all, &work, interrupted);
    if !args.quiet {
        let (missing, pictures) = (drawing.missing, all.pictures(shard));
        let part =
            if shard == Shard::WHOLE { String::new() } else { format!(" of shard {}/{}", shard.index, shard.count) };
        say(&format!("{missing} of {pictures} pictures{part} are missing in {}", folder.pictures().display()));
    }
    drawing.draw(&painters)?;
    drawing.finish(&painters)
}

/// What the folder will hold.
fn plan(args: &EvalRunArgs, painter: &Painter, arms: &[Arm], prompts: Vec<Prompt>) -> Result<Plan, CliError> {
    let pipeline = &painter.pipeline;
    let mut planned = Vec::new();
    for arm in arms {
        for prompt in &prompts {
            let request = request(&args.sampling, pipeline, &prompt.text, arm.method(prompt));
            // Before anything is drawn, not after hours.
            pipeline
                .check(&request)
                .map_err(|error| CliError::Prompt { prompt: prompt.text.clone(), error: Box::new(error.into()) })?;
        }
        let Some(first) = prompts.first() else { continue };
        let request = request(&args.sampling, pipeline, &first.text, arm.method(first));
        let mut settings = Record::of_grid(pipeline, &request).settings_of_any_prompt();
        settings["dtype"] = args.load.dtype.to_string().into();
        planned.push(ae_eval::Arm { name: arm.name.clone(), settings });
    }
    Ok(Plan { model: pipeline.name().to_owned(), arms: planned, prompts, seeds: args.seeds.0.clone() })
}

/// Devices at work.
struct Drawing<'a> {
    all: &'a Evaluation<'a>,
    work: &'a [Unit<'a>],
    missing: usize,
    /// Set when the user wants to stop.
    interrupted: Arc<AtomicBool>,
    /// The next unit that nobody draws yet.
    next: AtomicUsize,
    stop: AtomicBool,
    started: Instant,
    progress: Mutex<Progress>,
}

struct Progress {
    finished: usize,
    said: Instant,
    /// Of every arm: pictures and seconds of a device.
    arms: Vec<(usize, f64)>,
    /// Pictures that have no finite values, and what was said of the first.
    failed: usize,
    failure: Option<String>,
}

impl<'a> Drawing<'a> {
    fn new(all: &'a Evaluation<'a>, work: &'a [Unit<'a>], interrupted: Arc<AtomicBool>) -> Self {
        let progress = Progress {
            finished: 0,
            said: Instant::now(),
            arms: vec![(0, 0.0); all.arms.len()],
            failed: 0,
            failure: None,
        };
        Self {
            all,
            work,
            missing: work.iter().map(|unit| unit.seeds.len()).sum(),
            interrupted,
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            started: Instant::now(),
            progress: Mutex::new(progress),
        }
    }

    /// Draws every unit once, on whichever device is free. The first error ends the others.
    fn draw(&self, painters: &[Painter]) -> Result<(), CliError> {
        thread::scope(|scope| {
            let mut workers = Vec::new();
            for painter in painters {
                let builder = thread::Builder::new().stack_size(Painter::STACK);
                let worker = builder.spawn_scoped(scope, || {
                    let result = self.work_on(painter);
                    self.stop.fetch_or(result.is_err(), Ordering::SeqCst);
                    result
                });
                workers.push(worker.map_err(CliError::Thread)?);
            }
            let results: Vec<_> = workers.into_iter().map(|worker| worker.join().expect("no panic")).collect();
            // One that was stopped says so; why is said by the one that failed.
            let (stopped, failed): (Vec<_>, Vec<_>) = results
                .into_iter()
                .filter_map(Result::err)
                .partition(|error| matches!(error, CliError::Interrupted { .. }));
            failed.into_iter().chain(stopped).next().map_or(Ok(()), Err)
        })
    }

    fn work_on(&self, painter: &Painter) -> Result<(), CliError> {
        loop {
            let Some(unit) = self.work.get(self.next.fetch_add(1, Ordering::SeqCst)) else { return Ok(()) };
            let start = Instant::now();
            match self.draw_unit(painter, unit) {
                Ok(()) => self.finished(unit, start.elapsed(), None),
                // A setting may be too much for some pictures; the others are still to be seen.
                Err(CliError::Pipeline(error @ (PipelineError::NotFinite { .. } | PipelineError::Guidance(_)))) => {
                    let place = format!("'{}' of {}: {error}", unit.prompt.text, unit.arm.name);
                    self.finished(unit, start.elapsed(), Some(place));
                }
                Err(CliError::Pipeline(PipelineError::Interrupted)) => {
                    return Err(CliError::Interrupted { finished: self.progress().finished });
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn draw_unit(&self, painter: &Painter, unit: &Unit<'_>) -> Result<(), CliError> {
        let Painter { pipeline, .. } = painter;
        let request = Request {
            seeds: unit.seeds.clone(),
            ..request(&self.all.args.sampling, pipeline, &unit.prompt.text, unit.arm.method(unit.prompt))
        };
        let output = pipeline.generate(&request, &mut |_| {
            let ends = self.interrupted.load(Ordering::SeqCst) || self.stop.load(Ordering::SeqCst);
            if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        for picture in &output.pictures {
            let mut png = Vec::new();
            encode_png(&mut png, &picture.image, &Record::new(pipeline, &request, picture)).expect("memory takes it");
            self.all.folder.write_picture(&unit.arm.name, &unit.prompt.text, picture.seed, &png)?;
        }
        Ok(())
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finished(&self, unit: &Unit<'_>, took: Duration, failure: Option<String>) {
        let mut progress = self.progress();
        let pictures = unit.seeds.len();
        if let Some(failure) = failure {
            progress.failed += pictures;
            progress.failure.get_or_insert(failure);
        } else {
            progress.finished += pictures;
            let (drawn, seconds) = &mut progress.arms[unit.arm_index];
            *drawn += pictures;
            *seconds += took.as_secs_f64();
        }
        if !self.all.args.quiet && progress.said.elapsed() >= PACE {
            progress.said = Instant::now();
            let done = progress.finished + progress.failed;
            let left = self.started.elapsed().as_secs_f64() / done as f64 * (self.missing - done) as f64;
            say(&format!("{done}/{} pictures, {} min left", self.missing, (left / 60.0).ceil()));
        }
    }

    /// Says what came of it.
    fn finish(&self, painters: &[Painter]) -> Result<(), CliError> {
        let progress = self.progress();
        if !self.all.args.quiet && progress.finished > 0 {
            let devices = painters.iter().map(|painter| painter.device.to_string()).collect::<Vec<_>>().join(", ");
            let minutes = self.started.elapsed().as_secs_f64() / 60.0;
            say(&format!("{} pictures in {minutes:.1} min on {devices}", progress.finished));
            let rows = self.all.arms.iter().zip(&progress.arms).filter(|(_, (pictures, _))| *pictures > 0);
            let rows = rows.map(|(arm, (pictures, seconds))| {
                [arm.name.clone(), pictures.to_string(), format!("{:.2} s", seconds / *pictures as f64)]
            });
            let header = ["method", "pictures", "each"].map(str::to_owned);
            let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
            say(table([Align::Left, Align::Right, Align::Right], &rows).trim_end());
        }
        if let Some(first) = &progress.failure {
            let pictures = self.missing;
            return Err(CliError::NotDrawn { failed: progress.failed, pictures, first: first.clone() });
        }
        print_path(self.all.folder.pictures());
        Ok(())
    }
}
