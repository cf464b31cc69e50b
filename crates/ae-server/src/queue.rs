//! The jobs: those that wait, the one that is drawn, and the latest that have ended.

mod store;
mod subscription;
mod watch;
mod worker;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

pub(crate) use store::Store;

use store::Kept;

use crate::error::ApiError;
use crate::gallery::Gallery;
use crate::job::{Job, JobState, JobView};
use crate::metrics::Metrics;
use crate::{Engine, GenerateRequest, Limits};

/// Jobs that have ended and that the list has.
const LISTED: usize = 50;

/// All jobs of a server.
pub(crate) struct Queue {
    /// Who draws, to be interrupted.
    engine: Arc<dyn Engine>,
    state: Mutex<State>,
    /// Signalled when there is a job, or the queue is closed.
    changed: Condvar,
    most_waiting: usize,
    most_of_a_client: usize,
    metrics: Arc<Metrics>,
    store: Store,
    /// Held while a job is moved.
    moving: Mutex<()>,
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
    /// Jobs that have ended and can still be asked for; older ones are forgotten.
    most_remembered: usize,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(engine: Arc<dyn Engine>, limits: &Limits, metrics: Arc<Metrics>, store: Store) -> Self {
        Self {
            engine,
            state: Mutex::new(State { most_remembered: limits.max_remembered, ..State::default() }),
            changed: Condvar::new(),
            most_waiting: limits.max_queue,
            most_of_a_client: limits.max_queue_per_client,
            metrics,
            store,
            moving: Mutex::default(),
            counter: AtomicU64::new(0),
        }
    }

    /// A panic elsewhere leaves the state as it was between two whole changes.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a request with its seeds, of a client, at the end of the queue, on the disk first.
    pub(crate) fn submit(&self, request: GenerateRequest, client: Option<IpAddr>) -> Result<JobView, ApiError> {
        self.expect_room(&self.lock(), client)?;
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let created = u64::try_from(created).unwrap_or_default();
        let number = self.counter.fetch_add(1, Ordering::Relaxed) % 1_000_000;
        // Sorts by time, and is new after a restart.
        let id = format!("{created:013}-{number:06}");
        let kept = Kept { created, client, request: Value::Object(request.to_json()), pictures: Vec::new() };
        let failed = |error| ApiError::Failed(format!("the job cannot be kept on the disk: {error}"));
        self.store.save(&id, &kept).map_err(failed)?;
        let mut state = self.lock();
        // Others may have come while the file was written.
        if let Err(error) = self.expect_room(&state, client) {
            self.store.remove(&id);
            return Err(error);
        }
        let view = state.add(id, created, request, Vec::new(), client);
        self.changed.notify_all();
        Ok(view)
    }

    fn expect_room(&self, state: &State, client: Option<IpAddr>) -> Result<(), ApiError> {
        if state.closed {
            return Err(ApiError::Stopping);
        }
        if state.waiting.len() >= self.most_waiting {
            return Err(ApiError::too_many("max_queue", format!("{} jobs wait already", self.most_waiting)));
        }
        let is_its = |id: &&String| state.jobs.get(*id).is_some_and(|job| job.client == client);
        if state.waiting.iter().filter(is_its).count() >= self.most_of_a_client {
            let message = format!("{} jobs of this client wait already", self.most_of_a_client);
            return Err(ApiError::too_many("max_queue_per_client", message));
        }
        Ok(())
    }

    /// Takes up the jobs that the server before this one left; returns how many. What of them is in the gallery is not drawn again.
    pub(crate) fn resume(&self, gallery: &Gallery) -> usize {
        let mut state = self.lock();
        for (id, Kept { created, client, request, mut pictures }) in self.store.load() {
            match GenerateRequest::from_json(request) {
                Ok(request) => {
                    let entries = (0..request.seeds.len()).map(|index| entry_name(&id, index));
                    pictures = entries.filter(|entry| pictures.contains(entry) || gallery.has(entry)).collect();
                    state.add(id, created, request, pictures, client);
                }
                Err(error) => tracing::error!(job = id, reason = %error, "a job on the disk cannot be drawn"),
            }
        }
        self.changed.notify_all();
        state.waiting.len()
    }

    /// Ends a job: at once if it waits, as soon as the engine looks up if it is drawn.
    pub(crate) fn cancel(&self, id: &str) -> Result<JobView, ApiError> {
        let mut state = self.lock();
        self.cancel_one(&mut state, id)?;
        state.tell_positions();
        state.view(id)
    }

    /// Ends every job, as [`cancel`](Self::cancel) does.
    pub(crate) fn cancel_all(&self) {
        let mut state = self.lock();
        let open: Vec<_> = state.waiting.iter().chain(&state.running).cloned().collect();
        for id in open {
            // It is there, since the lock is held.
            let _ = self.cancel_one(&mut state, &id);
        }
    }

    fn cancel_one(&self, state: &mut State, id: &str) -> Result<(), ApiError> {
        let job = state.jobs.get_mut(id).ok_or_else(|| unknown(id))?;
        job.cancelled.store(true, Ordering::SeqCst);
        job.is_unwanted = true;
        if job.view.state == JobState::Queued {
            state.waiting.retain(|waiting| waiting != id);
            state.end(id, JobState::Cancelled, None);
            self.store.remove(id);
            self.metrics.ended(JobState::Cancelled);
        } else if state.running.as_deref() == Some(id) {
            // Under the lock: no other job can have begun.
            self.engine.interrupt();
        }
        Ok(())
    }

    /// Moves a job that waits: at place 0 it is the next, beyond the end the last. The order is then on the disk.
    pub(crate) fn place(&self, id: &str, place: usize) -> Result<JobView, ApiError> {
        // One after the other, so that the disk has the last order.
        let _moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        let view = state.view(id)?;
        if view.state != JobState::Queued {
            return Err(ApiError::invalid(format!("job '{id}' does not wait any more, and cannot be moved")));
        }
        state.waiting.retain(|waiting| waiting != id);
        let place = place.min(state.waiting.len());
        state.waiting.insert(place, id.to_owned());
        state.tell_positions();
        let view = state.view(id)?;
        // What is drawn waits before all others after a restart.
        let order: Vec<_> = state.running.iter().chain(&state.waiting).cloned().collect();
        // Nobody has to wait for the disk.
        drop(state);
        self.store.keep_order(&order).map_err(|error| {
            ApiError::Failed(format!("the job was moved, but its place is lost at a restart: {error}"))
        })?;
        Ok(view)
    }

    /// Takes the jobs that have ended from the list. Who knows one can still ask for it.
    pub(crate) fn clear_ended(&self) {
        let mut state = self.lock();
        let State { jobs, ended, .. } = &mut *state;
        for id in ended.iter() {
            jobs.entry(id.clone()).and_modify(|job| job.is_cleared = true);
        }
    }

    /// Takes nothing more, and ends what is drawn. What is not finished waits on the disk for the next server.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.closed, true) {
            return;
        }
        for job in state.waiting.iter().filter_map(|id| state.jobs.get(id)) {
            job.part();
        }
        if let Some(job) = state.running.as_ref().and_then(|id| state.jobs.get(id)) {
            job.cancelled.store(true, Ordering::SeqCst);
            self.engine.interrupt();
        }
        self.changed.notify_all();
    }

    pub(crate) fn view(&self, id: &str) -> Result<JobView, ApiError> {
        self.lock().view(id)
    }

    /// The job that is drawn, those that wait from first to last, then the latest that have ended.
    pub(crate) fn list(&self) -> Vec<JobView> {
        let state = self.lock();
        let is_listed = |id: &&String| state.jobs.get(*id).is_some_and(|job| !job.is_cleared);
        let ended = state.ended.iter().filter(is_listed).take(LISTED);
        let ids = state.running.iter().chain(&state.waiting).chain(ended);
        ids.filter_map(|id| state.jobs.get(id)).map(|job| job.snapshot().short()).collect()
    }

    /// Whether jobs are taken and drawn.
    pub(crate) fn is_open(&self) -> bool {
        !self.lock().closed
    }

    /// How many jobs wait, and whether one is drawn.
    pub(crate) fn counts(&self) -> (usize, bool) {
        let state = self.lock();
        (state.waiting.len(), state.running.is_some())
    }

    /// The job that is drawn.
    pub(crate) fn running(&self) -> Option<JobView> {
        let state = self.lock();
        state.running.as_ref().and_then(|id| state.view(id).ok())
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("state", &self.state).finish_non_exhaustive()
    }
}

/// The gallery's name of a picture of a job.
fn entry_name(id: &str, index: usize) -> String {
    format!("{id}-{index:03}")
}

fn unknown(id: &str) -> ApiError {
    let id: String = id.chars().take(40).collect();
    ApiError::NotFound(format!("there is no job '{id}'; jobs are forgotten some time after they end, and at a restart"))
}

impl State {
    fn view(&self, id: &str) -> Result<JobView, ApiError> {
        self.jobs.get(id).map(Job::snapshot).ok_or_else(|| unknown(id))
    }

    /// A job comes to the end of the queue.
    fn add(
        &mut self,
        id: String,
        created: u64,
        request: GenerateRequest,
        pictures: Vec<String>,
        client: Option<IpAddr>,
    ) -> JobView {
        let view = JobView {
            id: id.clone(),
            state: JobState::Queued,
            created,
            position: Some(self.waiting.len() + usize::from(self.running.is_some())),
            request,
            run: None,
            step: 0,
            num_steps: 0,
            seconds: 0.0,
            notes: Vec::new(),
            error: None,
            pictures,
        };
        self.jobs.insert(id.clone(), Job::new(view.clone(), client));
        self.waiting.push_back(id);
        view
    }

    /// A job that was drawn waits again, for the next server.
    fn put_back(&mut self, id: &str) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        job.put_back();
        if self.closed {
            job.part();
        } else {
            job.publish();
        }
        self.waiting.push_front(id.to_owned());
    }

    /// A job comes to its end; the oldest of the others is forgotten.
    fn end(&mut self, id: &str, end: JobState, error: Option<String>) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        job.stop(end, error);
        self.ended.push_front(id.to_owned());
        if self.ended.len() > self.most_remembered
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
