//! What the tests share: fixtures, models, and comparison with stated tolerances.

mod case;
mod compare;
mod device;
mod fixtures;
mod formats;
mod memory;
mod tensors;

pub use case::{Arguments, Case, RecordedStep};
pub use compare::{assert_close, largest_difference, relative_difference};
pub use device::{Tolerances, device, device_spec, tolerances};
pub use fixtures::{fixtures, inpainting_model, model, sprites};
pub use formats::{Formats, Variant};
pub use memory::{peak_memory, reset_peak_memory};
pub use tensors::Tensors;

/// Compiles the examples of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../docs/research.md")]
struct Research;

/// The same.
#[cfg(doctest)]
#[doc = include_str!("../../docs/objectives.md")]
struct Objectives;
