//! What the tests share: fixtures, models, and comparison with stated tolerances.

mod case;
mod compare;
mod paths;

pub use case::{Arguments, Case, RecordedStep};
pub use compare::{assert_close, largest_difference};
pub use paths::{fixtures, model, sprites};
