#![doc = include_str!("../README.md")]

mod announcement;
mod auto_device;
mod batch_size;
#[cfg(feature = "figures")]
mod compose;
#[cfg(feature = "figures")]
mod contact_sheet;
/// The model of the workspace's assets.
#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
#[cfg(feature = "eval")]
pub mod evaluation;
mod exif_text;
#[cfg(feature = "figures")]
mod explanation;
mod file_hash;
mod file_search;
mod image_file;
mod inspect;
mod job_progress;
mod known_presets;
mod loaded;
#[cfg(feature = "hub")]
mod models;
mod picture_settings;
mod pool;
mod prompt;
mod prompt_networks;
mod record;
#[cfg(feature = "figures")]
mod recorder;
mod redraw;
#[cfg(feature = "remote")]
pub mod remote;
mod seeds;
pub mod self_test;
mod source;
#[cfg(feature = "studio")]
pub mod studio;
mod table;
mod trust;
mod user_config;
mod user_folders;

pub use ae_files::png_chunks;
pub use announcement::{announcement, truncation_warning};
pub use auto_device::chosen_devices;
pub use batch_size::BatchSize;
#[cfg(feature = "figures")]
pub use contact_sheet::ContactSheet;
pub use error::Error;
#[cfg(feature = "figures")]
pub use explanation::explanation;
pub use file_hash::{FileHashes, HashesInBackground, sha256};
pub use file_search::{FileSearch, FileSearchError};
pub use image_file::{InputImages, read_image, read_mask};
pub use inspect::{Adapter, Inspection, Part, inspect};
pub use job_progress::{JobProgress, Pass};
pub use loaded::{LoadedModel, load_options};
#[cfg(feature = "hub")]
pub use models::{cached_models, model_names, model_table};
pub use picture_settings::{FoundSettings, PictureSettingsError, read_settings};
pub use pool::work_through;
pub use prompt::{Model, PromptBuilder};
pub use prompt_networks::{UnknownNetworks, add_lora_files, with_prompt_networks};
pub use record::{command_line, write_png};
#[cfg(feature = "figures")]
pub use recorder::{Previews, draw_and_record, figure_subjects, figure_tokens};
pub use redraw::Redraw;
pub use seeds::Seeds;
#[cfg(feature = "hub")]
pub use source::weights_choice;
pub use source::{FoundModel, embedded_model};
pub use table::{Align, size, table};
pub use user_config::{UserConfig, UserConfigError};

/// What the signatures of this crate mention.
pub use ae_pipeline;
pub use ae_pipeline::{Event, Picture, Pipeline, PipelineError, Prepared, Request};
pub use ae_settings::{self, Overrides, Settings};
pub use ae_tensor::{self, DeviceSpec};
pub use burn;
pub use image;

/// Compiles the example of the workspace's README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct WorkspaceReadme;
