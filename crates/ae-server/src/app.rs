use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Semaphore;

use crate::access::Access;
use crate::body::FixedJson;
use crate::connections::Places;
use crate::context::Context;
use crate::downloads::Downloads;
use crate::error::ApiError;
use crate::gallery::Gallery;
use crate::job::JobView;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::webui::Chosen;
use crate::{Engine, GenerateRequest, Limits};

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) gallery: Arc<Gallery>,
    pub(crate) downloads: Arc<Downloads>,
    pub(crate) access: Arc<Access>,
    /// The name of the cookie with the token.
    pub(crate) cookie: Arc<str>,
    pub(crate) limits: Arc<Limits>,
    /// The fields of a request, as they are served at `/api/schema`.
    pub(crate) schema: FixedJson,
    pub(crate) webui: Arc<Chosen>,
    pub(crate) places: Arc<Places>,
    /// A permit for each byte that bodies may have in memory.
    pub(crate) bodies: Arc<Semaphore>,
    pub(crate) metrics: Arc<Metrics>,
}

impl App {
    /// Reads a request, first as far as limits go: an error names the server's own.
    pub(crate) fn read(&self, request: Value) -> Result<GenerateRequest, ApiError> {
        GenerateRequest::check_json(&request, &self.limits)?;
        Ok(GenerateRequest::from_json(request)?)
    }

    /// Checks a request and puts it into the queue.
    pub(crate) async fn submit(&self, mut request: GenerateRequest) -> Result<JobView, ApiError> {
        request.check(&self.limits)?;
        if request.seeds.is_empty() {
            request.seeds.push(random_seed()?);
        }
        let client = Context::current().map(|context| context.client);
        let app = self.clone();
        let submitted = blocking(move || {
            app.gallery.images().find(&mut request)?;
            request.images.check_size(&request, &app.limits)?;
            app.engine.check(&request)?;
            if !app.gallery.has_room((app.limits.max_gallery_mib as u64) << 20) {
                let message = format!("the gallery has {} MiB", app.limits.max_gallery_mib);
                return Err(ApiError::busy("max_gallery_mib", message));
            }
            app.queue.submit(request, client)
        });
        submitted.await?
    }
}

/// A seed of 32 bits: JavaScript holds it exactly.
pub(crate) fn random_seed() -> Result<u64, ApiError> {
    getrandom::u32().map(u64::from).map_err(|error| ApiError::Failed(format!("no random seed: {error}")))
}

/// Runs what reads files or tokenizers beside the threads that answer.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let result = tokio::task::spawn_blocking(work).await;
    result.map_err(|_| ApiError::Failed("the program failed; this is a bug".to_owned()))
}
