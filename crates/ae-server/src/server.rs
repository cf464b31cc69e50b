use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{Semaphore, watch};

use crate::access::{Access, cookie_name, random_token};
use crate::api::router;
use crate::app::App;
use crate::body::FixedJson;
use crate::connections::Places;
use crate::downloads::Downloads;
use crate::gallery::Gallery;
use crate::metrics::Metrics;
use crate::queue::{Queue, Store};
use crate::{Config, Engine, GenerateRequest, ServerError, connections};

/// A server that has its address and its gallery, and waits to be run.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    token: Option<String>,
    app: App,
    resumed: usize,
    stop: watch::Sender<bool>,
}

/// Stops a server that runs.
#[derive(Clone, Debug)]
pub struct Stopper {
    queue: Arc<Queue>,
    downloads: Arc<Downloads>,
    stop: watch::Sender<bool>,
}

impl Stopper {
    /// Ends what is drawn, and [`Server::run`] once the step has come to its end, or after [`Limits::stop_ms`](crate::Limits::stop_ms). Pictures that are
    /// finished stay in the gallery; what waits, and what was drawn, waits on the disk for the next server on the gallery.
    pub fn stop(&self) {
        self.queue.close();
        self.downloads.close();
        self.stop.send_replace(true);
    }
}

impl Server {
    /// Takes the address and opens the gallery.
    ///
    /// # Errors
    ///
    /// When the address is taken, the gallery cannot be used or belongs to another server, or the token is too simple.
    pub fn bind(config: Config, engine: impl Engine) -> Result<Self, ServerError> {
        let Config { address, token, gallery, limits } = config;
        let failed = |cause| ServerError::Bind { address, cause };
        let needs_token = !address.ip().is_loopback();
        let random = || random_token().map_err(|error| ServerError::System(io::Error::other(error)));
        let token = if needs_token && token.is_none() { Some(random()?) } else { token };
        let access = Arc::new(Access::new(token.as_deref())?);
        let store = Store::new(&gallery);
        let gallery = Arc::new(Gallery::open(&gallery, &limits)?);
        let listener = listen(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let metrics = Arc::new(Metrics::new());
        let engine: Arc<dyn Engine> = Arc::new(engine);
        let app = App {
            engine: Arc::clone(&engine),
            queue: Arc::new(Queue::new(engine, &limits, Arc::clone(&metrics), store)),
            gallery,
            downloads: Arc::default(),
            access,
            cookie: cookie_name(address.port()).into(),
            places: Places::new(&limits),
            bodies: Arc::new(Semaphore::new(limits.max_bodies.min(Semaphore::MAX_PERMITS))),
            schema: FixedJson::new(&GenerateRequest::json_schema(&limits)),
            limits: Arc::new(limits),
            metrics,
            webui: Arc::default(),
        };
        let resumed = app.queue.resume(&app.gallery);
        Ok(Self { listener, address, token, app, resumed, stop: watch::Sender::new(false) })
    }

    /// Jobs that the server before this one on the same gallery left, and that go on.
    pub fn resumed(&self) -> usize {
        self.resumed
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to open in a browser, with the token where there is one.
    pub fn url(&self) -> String {
        let token = self.token.as_ref().map(|token| format!("?token={token}")).unwrap_or_default();
        format!("http://{}/{token}", self.address)
    }

    /// What stops it from another thread.
    pub fn stopper(&self) -> Stopper {
        Stopper {
            queue: Arc::clone(&self.app.queue),
            downloads: Arc::clone(&self.app.downloads),
            stop: self.stop.clone(),
        }
    }

    /// The description of its API, as it is served at `/api/openapi.json`.
    ///
    /// # Panics
    ///
    /// Never: the description is JSON.
    pub fn openapi() -> String {
        crate::api::document().to_pretty_json().expect("an OpenAPI document is JSON")
    }

    /// Serves until it is [stopped](Stopper::stop).
    ///
    /// # Errors
    ///
    /// When the system gives no threads.
    pub fn run(self) -> Result<(), ServerError> {
        /// As a main thread has; the graphs of a backward pass are deep.
        const STACK: usize = 8 << 20;
        let Self { listener, app, stop, .. } = self;
        let limits = Arc::clone(&app.limits);
        let worker = {
            let App { queue, gallery, .. } = app.clone();
            let work = move || queue.work(&gallery);
            thread::Builder::new().name("worker".to_owned()).stack_size(STACK).spawn(work)
        };
        let worker = worker.map_err(ServerError::System)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            // What they do is short; hundreds, each with memory of its own, would make nothing faster.
            .max_blocking_threads(8)
            .enable_all()
            .build();
        let runtime = runtime.map_err(ServerError::System)?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).map_err(ServerError::System)?;
            let stopped = stop.subscribe();
            let places = Arc::clone(&app.places);
            connections::serve(listener, router(app.clone()), &limits, places, stopped).await;
            Ok(())
        })?;
        app.queue.close();
        // The picture that is being written is finished first. A step that takes long is not waited for: what it would have given
        // is drawn again.
        let end = Instant::now() + limits.stop_time();
        while !worker.is_finished() && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        if worker.is_finished() {
            let _ = worker.join();
        } else {
            tracing::warn!("the step that is drawn is not waited for (stop_ms)");
        }
        runtime.shutdown_background();
        Ok(())
    }
}

/// Listens on an address, as [`TcpListener::bind`] does, but with room for more clients who come at once: where its 128 places are
/// taken, the system drops a new connection, and its client tries again only after a second or more.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    /// As many as Linux allows by default (`net.core.somaxconn`).
    const BACKLOG: i32 = 4096;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // On Windows the option would let another program take the address.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    /// With the 128 places of [`TcpListener::bind`], the 130th had to wait for its second try.
    #[test]
    fn a_crowd_that_comes_at_once_is_heard() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let crowd: Vec<_> =
            (0..400).map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(500))).collect();
        assert_eq!(crowd.iter().filter(|client| client.is_err()).count(), 0);
    }
}
