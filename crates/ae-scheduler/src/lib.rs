//! Samplers of diffusion models, equal to diffusers' schedulers step by step.
//!
//! A [`SchedulerConfig`] is read from a model's `scheduler_config.json`, and
//! [built](SchedulerConfig::build) into a [`Scheduler`] of any [`SchedulerKind`] for a number of
//! steps. The reference is diffusers 0.42.
//!
//! The schedule is computed on the host, once, and folded into a few coefficients per step: a step
//! costs a few multiplications and additions of tensors, and never synchronises with the device.
//!
//! ```
//! use ae_scheduler::SchedulerConfig;
//! use burn::tensor::{Device, Tensor};
//!
//! # fn main() -> Result<(), ae_scheduler::SchedulerError> {
//! let config = SchedulerConfig::from_json(
//!     r#"{
//!         "_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear", "beta_start": 0.00085,
//!         "beta_end": 0.012, "clip_sample": false, "set_alpha_to_one": false, "steps_offset": 1
//!     }"#,
//! )?;
//! let mut scheduler = config.build(config.kind()?, 20)?;
//!
//! let device = Device::flex();
//! let noise = Tensor::<4>::ones([1, 4, 8, 8], &device); // stands for Gaussian noise
//! let mut sample = noise * scheduler.init_noise_sigma();
//! for step in 0..scheduler.timesteps().len() {
//!     let input = scheduler.scale_model_input(sample.clone(), step);
//!     let model_output = input; // stands for the U-Net at `scheduler.timesteps()[step]`
//!     sample = scheduler.step(model_output, step, sample, &mut || unreachable!("DDIM adds none"));
//! }
//! # Ok(())
//! # }
//! ```

#![cfg_attr(test, expect(clippy::float_cmp, reason = "timesteps and float32 values that must be equal"))]

mod config;
mod ddim;
mod dpm_solver;
mod error;
mod euler;
mod pndm;
mod prediction;
mod schedule;
mod scheduler;
mod sigmas;
mod timesteps;
mod unsupported;

pub use ae_config::ConfigError;
pub use ae_settings::{PredictionType, SchedulerKind, SigmaSpacing, TimestepSpacing};
pub use config::SchedulerConfig;
pub use error::SchedulerError;
pub use scheduler::Scheduler;
