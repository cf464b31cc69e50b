#![doc = include_str!("../README.md")]
//!
//! # Where to begin
//!
//! A [`SchedulerConfig`] is read from a model's `scheduler_config.json`, and [built](SchedulerConfig::build) into a
//! [`Scheduler`] of any [`SchedulerKind`] for a number of steps.
//!
//! The schedule is computed on the host, once, and folded into a few coefficients per step: a step costs a few
//! multiplications and additions of tensors, and never synchronises with the device.

#![cfg_attr(test, expect(clippy::float_cmp, reason = "timesteps and float32 values that must be equal"))]

mod config;
mod ddim;
mod ddpm;
mod dpm_solver;
mod error;
mod euler;
mod lcm;
mod lms;
mod noise_levels;
mod one_step;
mod pndm;
mod prediction;
mod schedule;
mod scheduler;
mod second_order;
mod sigmas;
mod tcd;
mod timesteps;
mod unipc;
mod unsupported;

pub use ae_config::ConfigError;
pub use ae_settings::{PredictionType, SchedulerKind, SigmaSpacing, TimestepSpacing};
pub use config::SchedulerConfig;
pub use error::SchedulerError;
pub use scheduler::{Scheduler, SecondEvaluation};
