use std::any::Any;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ae_files::show_foreign;
use serde_json::{Value, json};

use super::store::Kept;
use super::{Queue, entry_name};
use crate::gallery::Gallery;
use crate::job::{Event, Job, JobState, RunView};
use crate::public_text::without_paths;
use crate::{Engine, EngineError, GenerateRequest, Update};

/// What the worker needs of a job.
struct Task {
    id: String,
    request: GenerateRequest,
    cancelled: Arc<AtomicBool>,
    skipped: Arc<AtomicBool>,
    created: u64,
    client: Option<IpAddr>,
    /// What was finished before the server was started again.
    pictures: Vec<String>,
}

impl Queue {
    /// Draws job after job until the queue is closed.
    pub(crate) fn work(&self, gallery: &Gallery) {
        /// Characters of a reason.
        const LONGEST: usize = 1000;
        while let Some(task) = self.next() {
            tracing::info!(job = task.id, seeds = task.request.seeds.len(), "a job begins");
            // A bug in the engine ends the job, not the server.
            let result = catch_unwind(AssertUnwindSafe(|| self.draw(&task, &*self.engine, gallery)));
            let result = result.unwrap_or_else(|panic| Err(EngineError::Failed(message(&*panic))));
            let (end, error) = match result {
                Ok(()) => (JobState::Done, None),
                Err(EngineError::Interrupted) => (JobState::Cancelled, None),
                Err(error) => {
                    let reason = error.to_string();
                    tracing::error!(job = task.id, reason = show_foreign(&reason, LONGEST, true), "a job failed");
                    (JobState::Failed, Some(show_foreign(&without_paths(&reason), LONGEST, true)))
                }
            };
            let mut state = self.lock();
            state.running = None;
            let is_unwanted = state.jobs.get(&task.id).is_some_and(|job| job.is_unwanted);
            if end == JobState::Cancelled && !is_unwanted {
                // The server stops; the next one draws it.
                state.put_back(&task.id);
                tracing::info!(job = task.id, "a job waits for the next start");
                continue;
            }
            self.store.remove(&task.id);
            self.metrics.ended(end);
            tracing::info!(job = task.id, state = end.name(), "a job ended");
            state.end(&task.id, end, error);
            state.tell_positions();
        }
    }

    /// Waits for a job; none when the queue is closed.
    fn next(&self) -> Option<Task> {
        let mut state = self.lock();
        while !state.closed {
            if let Some(id) = state.waiting.pop_front() {
                state.running = Some(id.clone());
                state.tell_positions();
                let Some(job) = state.jobs.get_mut(&id) else { continue };
                job.start();
                return Some(Task {
                    id,
                    request: job.view.request.clone(),
                    cancelled: Arc::clone(&job.cancelled),
                    skipped: Arc::clone(&job.skipped),
                    created: job.view.created,
                    client: job.client,
                    pictures: job.view.pictures.clone(),
                });
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    fn draw(&self, task: &Task, engine: &dyn Engine, gallery: &Gallery) -> Result<(), EngineError> {
        let [is_cancelled, is_skipped] = [&task.cancelled, &task.skipped].map(|flag| || flag.load(Ordering::SeqCst));
        let mut request = task.request.clone();
        gallery.images().find(&mut request).map_err(|error| EngineError::Failed(error.to_string()))?;
        for (index, &seed) in request.seeds.iter().enumerate() {
            let entry = entry_name(&task.id, index);
            if task.pictures.contains(&entry) {
                continue;
            }
            if is_cancelled() {
                return Err(EngineError::Interrupted);
            }
            self.with_job(&task.id, Job::forget);
            task.skipped.store(false, Ordering::SeqCst);
            let start = Instant::now();
            let drawn = engine.draw(&request, seed, &mut |update| {
                self.with_job(&task.id, |job| update_job(job, seed, &update));
                if is_cancelled() || is_skipped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            let drawn = match drawn {
                Err(EngineError::Interrupted) if is_skipped() && !is_cancelled() => continue,
                drawn => drawn?,
            };
            gallery
                .add(&entry, &drawn)
                .map_err(|error| EngineError::Failed(format!("the picture cannot be kept: {error}")))?;
            self.metrics.drawn(start.elapsed());
            let mut pictures = Vec::new();
            self.with_job(&task.id, |job| {
                job.view.pictures.push(entry);
                job.publish();
                pictures.clone_from(&job.view.pictures);
            });
            // A picture that is taken out of the gallery must not be drawn again.
            if index + 1 < task.request.seeds.len() {
                self.save(task, pictures)?;
            }
        }
        Ok(())
    }

    /// Writes down what of a job is finished.
    fn save(&self, task: &Task, pictures: Vec<String>) -> Result<(), EngineError> {
        let request = Value::Object(task.request.to_json());
        let kept = Kept { created: task.created, client: task.client, request, pictures };
        let failed = |error| EngineError::Failed(format!("the job cannot be kept on the disk: {error}"));
        self.store.save(&task.id, &kept).map_err(failed)
    }

    fn with_job(&self, id: &str, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.lock().jobs.get_mut(id) {
            change(job);
        }
    }
}

/// Brings a job up to date and tells those who listen.
fn update_job(job: &mut Job, seed: u64, update: &Update<'_>) {
    let run = job.view.run.as_ref().map_or(0, |run| run.index);
    match update {
        Update::Started { method, num_steps, tokens, subjects, terms, notes } => {
            for note in *notes {
                if !job.view.notes.contains(note) {
                    job.view.notes.push(note.clone());
                }
            }
            let per_seed = 1 + usize::from(job.view.request.has_plain());
            // Before the first run there may be pictures of the server that was there before.
            let index = if job.view.run.is_some() { run + 1 } else { job.view.pictures.len() * per_seed };
            let of = job.view.request.seeds.len() * per_seed;
            job.view.run = Some(RunView { index, of, seed, method: *method });
            (job.view.step, job.view.num_steps) = (0, *num_steps);
            job.publish();
            let start = json!({ "run": index, "seed": seed, "method": method, "tokens": tokens, "subjects": subjects,
                "terms": terms });
            job.record(Event::new("start", &start));
        }
        Update::Loss { step, iteration, losses } => {
            let loss = json!({ "run": run, "step": step, "iteration": iteration, "losses": losses });
            job.tell(Event::new("loss", &loss));
        }
        Update::Step(step) => {
            job.view.step = step.step + 1;
            let mut data = step.to_json();
            data["run"] = Value::from(run);
            job.record(Event::new("step", &data));
        }
    }
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the program failed: {}; this is a bug", text.unwrap_or("no reason given"))
}
