//! The jobs: those that wait, the one that is drawn, and the latest that have ended.

mod subscription;
mod worker;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::GenerateRequest;
use crate::error::ApiError;
use crate::job::{Job, JobState, JobView};

/// Jobs that have ended and can still be asked for; older ones are forgotten.
const REMEMBERED: usize = 2000;
/// Those of them that the list has.
const LISTED: usize = 50;

/// All jobs of a server.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Signalled when there is a job, or the queue is closed.
    changed: Condvar,
    most_waiting: usize,
    counter: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    jobs: HashMap<String, Job>,
    /// First to last.
    waiting: VecDeque<String>,
    running: Option<String>,
    /// Last to first.
    ended: VecDeque<String>,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(most_waiting: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), most_waiting, counter: AtomicU64::new(0) }
    }

    /// A panic elsewhere leaves the state as it was between two whole changes.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a request with its seeds at the end of the queue.
    pub(crate) fn submit(&self, request: GenerateRequest) -> Result<JobView, ApiError> {
        let mut state = self.lock();
        if state.closed {
            return Err(ApiError::Stopping);
        }
        if state.waiting.len() >= self.most_waiting {
            return Err(ApiError::QueueFull(self.most_waiting));
        }
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let created = u64::try_from(created).unwrap_or_default();
        let number = self.counter.fetch_add(1, Ordering::Relaxed) % 1_000_000;
        // Sorts by time, and is new after a restart.
        let id = format!("{created:013}-{number:06}");
        let view = JobView {
            id: id.clone(),
            state: JobState::Queued,
            created,
            position: Some(state.waiting.len() + usize::from(state.running.is_some())),
            request,
            run: None,
            step: 0,
            num_steps: 0,
            seconds: 0.0,
            notes: Vec::new(),
            error: None,
            pictures: Vec::new(),
        };
        state.jobs.insert(id.clone(), Job::new(view.clone()));
        state.waiting.push_back(id);
        self.changed.notify_all();
        Ok(view)
    }

    /// Ends a job: at once if it waits, after the step it is in if it is drawn.
    pub(crate) fn cancel(&self, id: &str) -> Result<JobView, ApiError> {
        let mut state = self.lock();
        let job = state.jobs.get_mut(id).ok_or_else(|| unknown(id))?;
        job.cancelled.store(true, Ordering::SeqCst);
        if job.view.state == JobState::Queued {
            state.waiting.retain(|waiting| waiting != id);
            state.end(id, JobState::Cancelled, None);
            state.tell_positions();
        }
        state.view(id)
    }

    /// Ends everything and takes nothing more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        while let Some(id) = state.waiting.pop_front() {
            state.end(&id, JobState::Cancelled, None);
        }
        if let Some(job) = state.running.as_ref().and_then(|id| state.jobs.get(id)) {
            job.cancelled.store(true, Ordering::SeqCst);
        }
        self.changed.notify_all();
    }

    pub(crate) fn view(&self, id: &str) -> Result<JobView, ApiError> {
        self.lock().view(id)
    }

    /// The job that is drawn, those that wait from first to last, then the latest that have ended.
    pub(crate) fn list(&self) -> Vec<JobView> {
        let state = self.lock();
        let ids = state.running.iter().chain(&state.waiting).chain(state.ended.iter().take(LISTED));
        ids.filter_map(|id| state.view(id).ok()).collect()
    }

    /// The job that is drawn.
    pub(crate) fn running(&self) -> Option<JobView> {
        let state = self.lock();
        state.running.as_ref().and_then(|id| state.view(id).ok())
    }
}

fn unknown(id: &str) -> ApiError {
    let id: String = id.chars().take(40).collect();
    ApiError::NotFound(format!("there is no job '{id}'; jobs are forgotten some time after they end, and at a restart"))
}

impl State {
    fn view(&self, id: &str) -> Result<JobView, ApiError> {
        self.jobs.get(id).map(Job::snapshot).ok_or_else(|| unknown(id))
    }

    /// A job comes to its end; the oldest of the others is forgotten.
    fn end(&mut self, id: &str, end: JobState, error: Option<String>) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        job.stop(end, error);
        self.ended.push_front(id.to_owned());
        if self.ended.len() > REMEMBERED
            && let Some(oldest) = self.ended.pop_back()
        {
            self.jobs.remove(&oldest);
        }
    }

    /// Tells the jobs that wait how many are before them.
    fn tell_positions(&mut self) {
        let before = usize::from(self.running.is_some());
        for (place, id) in self.waiting.iter().enumerate() {
            let Some(job) = self.jobs.get_mut(id) else { continue };
            if job.view.position.replace(before + place) != Some(before + place) {
                job.publish();
            }
        }
    }
}
