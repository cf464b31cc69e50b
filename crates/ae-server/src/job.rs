use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use ae_settings::Method;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::broadcast;
use utoipa::ToSchema;

use crate::GenerateRequest;

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JobState {
    /// It waits for those before it.
    Queued,
    /// It is drawn.
    Running,
    /// Every picture is in the gallery.
    Done,
    /// A client ended it, or the server stopped; pictures that were finished are in the gallery.
    Cancelled,
    /// `error` says why; pictures that were finished are in the gallery.
    Failed,
}

impl JobState {
    pub(crate) fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// A job as clients see it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct JobView {
    /// Its name.
    pub(crate) id: String,
    /// How far it is.
    pub(crate) state: JobState,
    /// When it was accepted, in milliseconds since 1970.
    pub(crate) created: u64,
    /// How many jobs are before it while it waits.
    pub(crate) position: Option<usize>,
    /// What was asked for, with the seeds that were chosen.
    pub(crate) request: GenerateRequest,
    /// What is being drawn.
    pub(crate) run: Option<RunView>,
    /// Denoising steps of the run that are done.
    pub(crate) step: usize,
    /// Denoising steps of the run.
    pub(crate) num_steps: usize,
    /// How long it has been drawn, or took to draw, in seconds.
    pub(crate) seconds: f64,
    /// What a person should know of it: options that have no effect, what was ignored, settings that do not suit the model.
    pub(crate) notes: Vec<String>,
    /// Why it failed.
    pub(crate) error: Option<String>,
    /// The gallery's entries of the pictures that are finished.
    pub(crate) pictures: Vec<String>,
}

/// One run of a job: a seed with one method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Run)]
pub(crate) struct RunView {
    /// Its place among the job's runs.
    pub(crate) index: usize,
    /// How many runs the job has.
    pub(crate) of: usize,
    /// The seed.
    pub(crate) seed: u64,
    /// The method.
    #[schema(value_type = String)]
    pub(crate) method: Method,
}

/// Something that happened to a job, for those who listen.
#[derive(Debug)]
pub(crate) struct Event {
    /// `job`, `start`, `loss` or `step`.
    pub(crate) name: &'static str,
    /// JSON on one line.
    pub(crate) data: String,
    /// After it nothing happens any more.
    pub(crate) is_last: bool,
}

impl Event {
    pub(crate) fn new(name: &'static str, data: &Value) -> Arc<Self> {
        Arc::new(Self { name, data: data.to_string(), is_last: false })
    }

    pub(crate) fn of_job(view: &JobView) -> Arc<Self> {
        let data = serde_json::to_string(view).expect("a job is JSON");
        Arc::new(Self { name: "job", data, is_last: view.state.is_final() })
    }
}

/// A job as the queue keeps it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) view: JobView,
    /// Since when it is drawn.
    started: Option<Instant>,
    /// Set when it shall end.
    pub(crate) cancelled: Arc<AtomicBool>,
    /// Those who listen.
    events: broadcast::Sender<Arc<Event>>,
    /// Start and steps of the seed that is being drawn, for those who come in the middle.
    history: Vec<Arc<Event>>,
}

impl Job {
    pub(crate) fn new(view: JobView) -> Self {
        /// A listener that is further behind starts anew from the history.
        const CAPACITY: usize = 64;
        let (events, _) = broadcast::channel(CAPACITY);
        Self { view, started: None, cancelled: Arc::default(), events, history: Vec::new() }
    }

    /// It is drawn from now on.
    pub(crate) fn start(&mut self) {
        self.started = Some(Instant::now());
        self.view.state = JobState::Running;
        self.view.position = None;
        self.publish();
    }

    /// As clients see it now.
    pub(crate) fn snapshot(&self) -> JobView {
        let mut view = self.view.clone();
        if let Some(started) = self.started.filter(|_| !view.state.is_final()) {
            view.seconds = started.elapsed().as_secs_f64();
        }
        view
    }

    /// It has ended: the time that it took stays.
    pub(crate) fn stop(&mut self, end: JobState, error: Option<String>) {
        self.view = JobView { state: end, error, position: None, run: None, ..self.snapshot() };
        self.forget();
        self.publish();
    }

    /// Tells everybody how far it is.
    pub(crate) fn publish(&self) {
        // Nobody may listen.
        let _ = self.events.send(Event::of_job(&self.snapshot()));
    }

    /// Tells everybody what happened.
    pub(crate) fn tell(&self, event: Arc<Event>) {
        let _ = self.events.send(event);
    }

    /// As [`tell`](Self::tell), also those who come later.
    pub(crate) fn record(&mut self, event: Arc<Event>) {
        self.history.push(Arc::clone(&event));
        self.tell(event);
    }

    /// Nobody who comes later needs what was recorded.
    pub(crate) fn forget(&mut self) {
        self.history = Vec::new();
    }

    /// What has happened so far, and the channel for the rest.
    pub(crate) fn subscribe(&self) -> (VecDeque<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let past = std::iter::once(Event::of_job(&self.snapshot())).chain(self.history.iter().cloned());
        (past.collect(), self.events.subscribe())
    }
}
