//! The command line as a person or a script meets it.
//!
//! Outputs and errors are snapshots (`UPDATE_SNAPSHOTS=1 cargo xtask test -p ae-cli` writes them anew, to
//! be read before they are committed).

// The client of the server's own tests.
#[cfg(unix)]
#[path = "../../../ae-server/tests/server/client.rs"]
mod client;
mod config;
mod convert;
#[cfg(unix)]
#[path = "../../../ae-server/tests/server/crowd.rs"]
mod crowd;
mod devices;
mod errors;
mod eval;
#[cfg(unix)]
mod faults;
mod figures;
mod files;
mod interrupt;
mod remote;
mod round_trip;
mod run;
mod serve;
mod snapshot;
mod terminal;
mod text;
