use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::{Queue, unknown};
use crate::error::ApiError;
use crate::job::{Event, JobView};

/// Somebody who listens to a job: what has happened, then what happens, up to its end.
#[derive(Debug)]
pub(crate) struct Subscription {
    queue: Arc<Queue>,
    id: String,
    past: VecDeque<Arc<Event>>,
    coming: Receiver<Arc<Event>>,
    has_ended: bool,
}

impl Queue {
    pub(crate) fn subscribe(self: &Arc<Self>, id: &str) -> Result<Subscription, ApiError> {
        let state = self.lock();
        let (past, coming) = state.jobs.get(id).ok_or_else(|| unknown(id))?.subscribe();
        Ok(Subscription { queue: Arc::clone(self), id: id.to_owned(), past, coming, has_ended: false })
    }

    /// Waits for the end of a job.
    pub(crate) async fn wait(self: &Arc<Self>, id: &str) -> Result<JobView, ApiError> {
        let mut subscription = self.subscribe(id)?;
        while subscription.next().await.is_some() {}
        let view = self.view(id)?;
        if view.state.is_final() { Ok(view) } else { Err(ApiError::Stopping) }
    }
}

impl Subscription {
    /// What happened next; none after the end.
    pub(crate) async fn next(&mut self) -> Option<Arc<Event>> {
        while !self.has_ended {
            if let Some(event) = self.past.pop_front() {
                self.has_ended = event.is_last;
                return Some(event);
            }
            match self.coming.recv().await {
                Ok(event) => self.past.push_back(event),
                // Too slow for what happens: from the beginning, rather than with a gap.
                Err(RecvError::Lagged(_)) => {
                    let Ok(Self { past, coming, .. }) = self.queue.subscribe(&self.id) else { break };
                    (self.past, self.coming) = (past, coming);
                }
                Err(RecvError::Closed) => break,
            }
        }
        None
    }
}
