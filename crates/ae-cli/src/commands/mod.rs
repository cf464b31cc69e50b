//! One file per command.

mod config;
mod convert;
mod devices;
mod eval;
mod generate;
mod inspect;
mod models;
mod remote;
mod self_test;
mod serve;
mod tokens;

pub(crate) use config::config;
pub(crate) use convert::convert;
pub(crate) use devices::devices;
pub(crate) use eval::eval;
pub(crate) use generate::{explain, generate};
pub(crate) use inspect::inspect;
pub(crate) use models::models;
pub(crate) use self_test::self_test;
pub(crate) use serve::serve;
pub(crate) use tokens::tokens;
