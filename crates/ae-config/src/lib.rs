#![doc = include_str!("../README.md")]

mod error;
mod fields;

pub use error::ConfigError;
pub use fields::Fields;
