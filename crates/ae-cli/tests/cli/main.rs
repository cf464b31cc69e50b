//! The command line as a person or a script meets it.
//!
//! Outputs and errors are snapshots (`UPDATE_SNAPSHOTS=1 cargo xtask test -p ae-cli` writes them anew, to
//! be read before they are committed).

mod devices;
mod errors;
mod files;
mod interrupt;
mod run;
mod snapshot;
mod text;
