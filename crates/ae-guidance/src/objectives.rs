//! The objectives after Attend-and-Excite, each in a file of its own.

mod boxes;
mod conform;
mod divide_and_bind;
mod largest;
mod otsu;
mod pairs;
mod predicated;
mod regions;
mod scaled;

pub use boxes::{BoxDiff, BoxDiffSettings};
pub use conform::Conform;
pub use divide_and_bind::{DivideAndBind, DivideAndBindSettings};
pub use pairs::{Distance, LinguisticBinding, Negatives, NounPhrase, Pairs, Pieces};
pub use predicated::PredicatedDiffusion;
pub use regions::{Overlap, RegionSettings, RegionWeights, SelfCross};
