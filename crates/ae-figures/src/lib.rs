#![doc = include_str!("../README.md")]
//!
//! # Where to begin
//!
//! An [`Explanation`] is one seed: its picture, its tokens and subjects, and of every denoising step the cross-attention maps, the
//! losses and a preview. It becomes
//!
//! - [`maps`](Explanation::maps): the attention of the last step over the picture, plain sampling above guided;
//! - [`strip`](Explanation::strip): the attention over the steps (paper, Fig. 3);
//! - [`animation`](Explanation::animation): the same in time, as an animated PNG;
//! - [`loss_svg`](Explanation::loss_svg) and [`loss_png`](Explanation::loss_png): the terms of the loss over the steps;
//! - [`maps_svg`](Explanation::maps_svg) and [`strip_svg`](Explanation::strip_svg): maps and strip for papers, with real text;
//! - [`report`]: one HTML file with all of it under a slider, which needs nothing else.
//!
//! Pictures of several seeds and methods stand in a [`picture_sheet`]. Of several methods a [`picture_table`] shows pictures side by side, and an [`IntervalChart`] numbers with their intervals.
//!
//! Wherever maps are compared they have one scale, and the colours are perceptually uniform (Inferno). The crate knows no model
//! and no tensor library, and uses no font of the system.

mod animation;
mod axis;
mod chart;
mod colors;
mod data_uri;
mod drawing;
mod error;
mod explanation;
mod font;
mod heat_map;
mod interval_chart;
mod interval_drawing;
mod interval_row;
mod layers;
mod map_figures;
pub mod page;
mod picture_table;
mod record;
mod refinement;
mod report;
mod sheet;
mod step;
mod token_maps;

pub use colors::palette_hex;
pub use error::FigureError;
pub use explanation::{Explanation, MapChoice, Run, Subject, Term, Token};
pub use interval_chart::{ChartScale, IntervalChart, IntervalGroup, IntervalPoint};
pub use picture_table::{PictureRow, picture_sheet, picture_table};
pub use report::{report, report_of};
pub use step::{Step, StepGuidance};
pub use token_maps::TokenMaps;

#[cfg(test)]
mod testing;
