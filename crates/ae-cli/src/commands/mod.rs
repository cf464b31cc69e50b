//! One file per command.

mod generate;
mod models;
mod tokens;

pub(crate) use generate::generate;
pub(crate) use models::models;
pub(crate) use tokens::tokens;
