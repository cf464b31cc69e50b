//! Damaged models and impossible requests: one typed error that names the thing, never a panic.

mod blip;
mod config_keys;
mod formats;
mod models;
mod requests;
mod vision;
mod what_loads;
