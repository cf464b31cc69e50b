//! The command line as a person or a script meets it.
//!
//! Outputs and errors are snapshots (`INSTA_UPDATE=always cargo xtask test` writes them anew, to be
//! read before they are committed).

mod errors;
mod files;
mod interrupt;
mod run;
mod text;
