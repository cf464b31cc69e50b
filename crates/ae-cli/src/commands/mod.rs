//! One file per command.

mod generate;
mod tokens;

pub(crate) use generate::generate;
pub(crate) use tokens::tokens;
