//! Models on their way to this machine.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::job::JobState;
use crate::{Engine, EngineError, Transfer};

/// The download of a model as clients see it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Download)]
pub(crate) struct DownloadView {
    /// The id of the model.
    pub(crate) model: String,
    /// How it is: `running`, `done`, `cancelled` or `failed`.
    pub(crate) state: JobState,
    /// How far it is.
    #[serde(flatten)]
    pub(crate) transfer: Transfer,
    /// Why it failed.
    pub(crate) error: Option<String>,
}

/// The downloads of a server: one of each model at a time, and how the last of it ended.
#[derive(Debug, Default)]
pub(crate) struct Downloads(Mutex<HashMap<String, Download>>);

#[derive(Debug)]
struct Download {
    view: watch::Sender<DownloadView>,
    cancelled: Arc<AtomicBool>,
}

impl Downloads {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Download>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to download a model of the engine, unless that is done already.
    pub(crate) fn start(self: &Arc<Self>, engine: &Arc<dyn Engine>, model: &str) -> Result<DownloadView, ApiError> {
        // Whatever else a client names never gets here.
        let known = engine.models().into_iter().find(|known| known.id == model);
        let known = known.ok_or_else(|| unknown(model))?;
        let mut all = self.lock();
        if let Some(download) = all.get(model).filter(|download| !download.view.borrow().state.is_final()) {
            return Ok(download.view.borrow().clone());
        }
        if !known.remote {
            return Err(ApiError::of_field("model", format!("the model '{model}' is on this machine already")));
        }
        let view = DownloadView {
            model: model.to_owned(),
            state: JobState::Running,
            transfer: Transfer { total: known.bytes.unwrap_or_default(), ..Transfer::default() },
            error: None,
        };
        let download = Download { view: watch::Sender::new(view.clone()), cancelled: Arc::default() };
        let (sender, cancelled) = (download.view.clone(), Arc::clone(&download.cancelled));
        let (engine, model) = (Arc::clone(engine), model.to_owned());
        let work = move || {
            let mut observe = |transfer: &Transfer| {
                sender.send_modify(|view| view.transfer.clone_from(transfer));
                if cancelled.load(Ordering::SeqCst) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            // A bug in the engine ends the download, not the server.
            let result = catch_unwind(AssertUnwindSafe(|| engine.download(&model, &mut observe)));
            let (state, error) = match result {
                Ok(Ok(())) => (JobState::Done, None),
                Ok(Err(EngineError::Interrupted)) => (JobState::Cancelled, None),
                Ok(Err(error)) => (JobState::Failed, Some(error.to_string())),
                Err(_) => (JobState::Failed, Some("the program failed; this is a bug".to_owned())),
            };
            sender.send_modify(|view| (view.state, view.error) = (state, error));
        };
        let thread = thread::Builder::new().name("download".to_owned()).spawn(work);
        thread.map_err(|error| ApiError::Failed(format!("no thread for the download: {error}")))?;
        all.insert(view.model.clone(), download);
        Ok(view)
    }

    /// Ends a download; what has arrived is kept for the next one.
    pub(crate) fn cancel(&self, model: &str) -> Result<DownloadView, ApiError> {
        let all = self.lock();
        let download = all.get(model).ok_or_else(|| unknown(model))?;
        download.cancelled.store(true, Ordering::SeqCst);
        Ok(download.view.borrow().clone())
    }

    /// Ends all of them.
    pub(crate) fn close(&self) {
        for download in self.lock().values() {
            download.cancelled.store(true, Ordering::SeqCst);
        }
    }

    /// How far a download is, or how it ended; none where there was none.
    pub(crate) fn view(&self, model: &str) -> Option<DownloadView> {
        self.lock().get(model).map(|download| download.view.borrow().clone())
    }

    /// Hears of every change of a download.
    pub(crate) fn subscribe(&self, model: &str) -> Result<watch::Receiver<DownloadView>, ApiError> {
        self.lock().get(model).map(|download| download.view.subscribe()).ok_or_else(|| unknown(model))
    }
}

fn unknown(model: &str) -> ApiError {
    let model: String = model.chars().take(60).collect();
    ApiError::NotFound(format!("there is no model '{model}' to be downloaded; see /api/models"))
}
