#![doc = include_str!("../README.md")]

pub mod a1111;
mod attend_and_excite;
mod choice;
pub mod comfyui;
mod command_line;
mod effect;
mod error;
mod files;
mod initial_noise;
pub mod invokeai;
mod json;
mod kinds;
mod layout;
mod method;
pub mod novelai;
mod option;
mod preset;
mod sampler_names;
mod schema;
mod settings;
mod steps;
mod value;
mod vocabulary;

pub use attend_and_excite::{AttendAndExcite, AttendAndExciteOverrides};
pub use choice::{Choice, UnknownName};
pub use effect::Circumstances;
pub use error::SettingsError;
pub use files::{EmbeddingRef, FileRef, LoraRef, WEIGHTS_ENDINGS, weights_stem};
pub use initial_noise::InitialNoise;
pub use json::{FormerOption, all_options, default_value};
pub use kinds::{
    EotNormalization, FloatType, LongPrompts, NoiseKind, PairDistance, PairNegatives, PredictionType, PromptSyntax,
    SchedulerKind, SigmaSpacing, TimestepSpacing,
};
pub use layout::{BoundingBox, SubjectBox, WordGroup, WordPair};
pub use method::Method;
pub use option::{Group, OptionInfo};
pub use preset::{Preset, Recipe};
pub use schema::json_schema;
pub use settings::{FORMAT, Overrides, Settings};
pub use steps::{StepIndex, Thresholds};
pub use value::{Kind, OptionValue};
pub use vocabulary::Vocabulary;
