#![doc = include_str!("../README.md")]

pub mod a1111;
mod attend_and_excite;
mod choice;
mod command_line;
mod error;
mod files;
mod json;
mod kinds;
mod option;
mod sampler_names;
mod schema;
mod settings;
mod steps;
mod value;

pub use attend_and_excite::{AttendAndExcite, AttendAndExciteOverrides};
pub use choice::{Choice, UnknownName};
pub use error::SettingsError;
pub use files::{EmbeddingRef, FileRef, LoraRef};
pub use json::{FormerOption, all_options};
pub use kinds::{
    EotNormalization, FloatType, LongPrompts, Method, NoiseKind, PredictionType, PromptSyntax, SchedulerKind,
    SigmaSpacing, TimestepSpacing,
};
pub use option::{Group, OptionInfo};
pub use schema::json_schema;
pub use settings::{FORMAT, Overrides, Settings};
pub use steps::{StepIndex, Thresholds};
pub use value::{Kind, OptionValue};
