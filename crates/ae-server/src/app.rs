use std::sync::Arc;

use crate::access::Access;
use crate::error::ApiError;
use crate::gallery::Gallery;
use crate::job::JobView;
use crate::queue::Queue;
use crate::{Engine, GenerateRequest, Limits};

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) gallery: Arc<Gallery>,
    pub(crate) access: Arc<Access>,
    pub(crate) limits: Arc<Limits>,
}

impl App {
    /// Checks a request and puts it into the queue.
    pub(crate) async fn submit(&self, mut request: GenerateRequest) -> Result<JobView, ApiError> {
        request.check(&self.limits)?;
        if request.seeds.is_empty() {
            request.seeds.push(random_seed()?);
        }
        let app = self.clone();
        let check = move || {
            app.gallery.images().find(&mut request)?;
            request.images.check_size(&request, &app.limits)?;
            app.engine.check(&request)?;
            Ok::<_, ApiError>(request)
        };
        let request = blocking(check).await??;
        self.queue.submit(request)
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
