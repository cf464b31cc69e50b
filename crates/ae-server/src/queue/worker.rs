use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::Queue;
use crate::gallery::Gallery;
use crate::job::{Event, Job, JobState, RunView};
use crate::{Engine, EngineError, GenerateRequest, Update};

/// What the worker needs of a job.
struct Task {
    id: String,
    request: GenerateRequest,
    cancelled: Arc<AtomicBool>,
}

impl Queue {
    /// Draws job after job until the queue is closed.
    pub(crate) fn work(&self, engine: &dyn Engine, gallery: &Gallery) {
        while let Some(task) = self.next() {
            // A bug in the engine ends the job, not the server.
            let result = catch_unwind(AssertUnwindSafe(|| self.draw(&task, engine, gallery)));
            let result = result.unwrap_or_else(|panic| Err(EngineError::Failed(message(&*panic))));
            let (end, error) = match result {
                Ok(()) => (JobState::Done, None),
                Err(EngineError::Interrupted) => (JobState::Cancelled, None),
                Err(error) => (JobState::Failed, Some(error.to_string())),
            };
            let mut state = self.lock();
            state.running = None;
            state.end(&task.id, end, error);
            state.tell_positions();
        }
    }

    /// Waits for a job; none when the queue is closed.
    fn next(&self) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if let Some(id) = state.waiting.pop_front() {
                state.running = Some(id.clone());
                state.tell_positions();
                let Some(job) = state.jobs.get_mut(&id) else { continue };
                job.start();
                let (request, cancelled) = (job.view.request.clone(), Arc::clone(&job.cancelled));
                return Some(Task { id, request, cancelled });
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn draw(&self, task: &Task, engine: &dyn Engine, gallery: &Gallery) -> Result<(), EngineError> {
        let is_cancelled = || task.cancelled.load(Ordering::SeqCst);
        let mut request = task.request.clone();
        gallery.images().find(&mut request).map_err(|error| EngineError::Failed(error.to_string()))?;
        for (index, &seed) in request.seeds.iter().enumerate() {
            if is_cancelled() {
                return Err(EngineError::Interrupted);
            }
            self.with_job(&task.id, Job::forget);
            let drawn = engine.draw(&request, seed, &mut |update| {
                self.with_job(&task.id, |job| update_job(job, seed, &update));
                if is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            let entry = gallery
                .add(&format!("{}-{index:03}", task.id), &drawn)
                .map_err(|error| EngineError::Failed(format!("the picture cannot be kept: {error}")))?;
            self.with_job(&task.id, |job| {
                job.view.pictures.push(entry);
                job.publish();
            });
        }
        Ok(())
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
            let index = if job.view.run.is_some() { run + 1 } else { 0 };
            let per_seed = 1 + usize::from(job.view.request.has_plain());
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
