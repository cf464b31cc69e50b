use std::net::SocketAddr;
use std::path::Path;
use std::thread::{self, JoinHandle};

use ae_server::{Config, Limits, Server, ServerError, Stopper};
use tempfile::TempDir;

use crate::client::Client;
use crate::engine::Painter;

/// A server that runs, on a free port, with a gallery of its own.
pub(crate) struct Place {
    pub(crate) client: Client,
    stopper: Stopper,
    thread: Option<JoinHandle<Result<(), ServerError>>>,
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = TempDir::new().unwrap();
        let limits = Limits { head_ms: 300, body_ms: 300, stop_ms: 2000, ..Limits::default() };
        let mut config = Config { limits, ..Config::new(folder.path().join("gallery")) };
        config.address = SocketAddr::from(([127, 0, 0, 1], 0));
        change(&mut config);
        let server = Server::bind(config, Painter).unwrap();
        let (client, stopper) = (Client::new(server.address()), server.stopper());
        let thread = Some(thread::spawn(move || server.run()));
        Self { client, stopper, thread, folder }
    }

    pub(crate) fn gallery(&self) -> std::path::PathBuf {
        self.folder.path().join("gallery")
    }

    /// Stops the server and waits for its end.
    pub(crate) fn stop(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }

    /// Names in the gallery's folder.
    pub(crate) fn files(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.stop();
        }
    }
}
