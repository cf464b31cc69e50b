//! Parity with the reference, stage by stage and run by run.
//!
//! The fixtures in `tests/fixtures` are written by the scripts in `tests/reference`
//! (`cargo xtask fixtures`).

mod adapters;
mod attention;
mod baselines;
mod blip;
mod clip;
mod convenience;
mod formats;
mod gradient;
mod inpainting;
mod methods;
mod noise;
mod objective;
mod objectives;
mod precision;
mod prompts;
mod runs;
mod sampler_runs;
mod samplers;
mod scheduler;
mod single_files;
mod stages;
mod tensors;
mod tiling;
mod vision;
