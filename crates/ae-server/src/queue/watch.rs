use std::sync::atomic::Ordering;

use serde_json::Value;

use super::Queue;
use crate::job::Job;

/// What is known of the steps of the picture that is being drawn.
#[derive(Debug, Default)]
pub(crate) struct DrawnSteps {
    /// The latest preview as an address in a page.
    pub(crate) preview: Option<String>,
    /// Seconds that a step takes; 0 before the first.
    pub(crate) mean_seconds: f64,
}

impl Queue {
    /// The steps of a job that is drawn.
    pub(crate) fn drawn_steps(&self, id: &str) -> DrawnSteps {
        // They are long: read when nobody waits for the lock.
        let steps = self.lock().jobs.get(id).map(Job::steps).unwrap_or_default();
        let mut drawn = DrawnSteps::default();
        for step in steps.iter().rev() {
            let Ok(step) = serde_json::from_str::<Value>(&step.data) else { continue };
            drawn.mean_seconds += step["seconds"].as_f64().unwrap_or_default() / steps.len() as f64;
            drawn.preview = drawn.preview.or_else(|| step["preview"].as_str().map(str::to_owned));
        }
        drawn
    }

    /// Ends the picture that is being drawn; its job goes on with the next.
    pub(crate) fn skip(&self) {
        let state = self.lock();
        if let Some(job) = state.running.as_ref().and_then(|id| state.jobs.get(id)) {
            job.skipped.store(true, Ordering::SeqCst);
        }
    }
}
