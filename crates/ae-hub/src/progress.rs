use std::ops::ControlFlow;
use std::time::Duration;

use crate::HubError;

/// Why nothing is being downloaded at the moment.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Waiting<'a> {
    /// Another process downloads the same file into the same cache.
    OtherProcess {
        /// The file, as a path in the repository.
        file: &'a str,
    },
    /// The hub has not answered yet.
    Answer,
    /// A request failed and is made again.
    Retry {
        /// Why it failed.
        cause: &'a HubError,
        /// How long until the next try, counted from the failure.
        wait: Duration,
    },
}

/// Hears of the downloads of [`Hub::fetch`](crate::Hub::fetch).
///
/// Every method has a default that does nothing, and `()` hears nothing. A [`ControlFlow::Break`] ends the fetch with
/// [`HubError::Cancelled`]; what has arrived is kept and the next fetch goes on from there.
pub trait Progress {
    /// How much is to be downloaded: the files that the cache lacks and their bytes together.
    fn planned(&mut self, files: usize, bytes: u64) {
        let _ = (files, bytes);
    }

    /// A file begins: its path in the repository, its size in bytes, and how many of them an earlier download left.
    /// Called again for the same file when the server cannot go on from there and all of it is sent anew.
    fn started(&mut self, file: &str, size: u64, present: u64) {
        let _ = (file, size, present);
    }

    /// Further bytes of the file have arrived.
    fn advanced(&mut self, bytes: u64) -> ControlFlow<()> {
        let _ = bytes;
        ControlFlow::Continue(())
    }

    /// The file is complete, verified and in the cache.
    fn finished(&mut self, file: &str) {
        let _ = file;
    }

    /// Called several times a second while nothing can be downloaded.
    fn waiting(&mut self, waiting: Waiting<'_>) -> ControlFlow<()> {
        let _ = waiting;
        ControlFlow::Continue(())
    }
}

impl Progress for () {}
