#![doc = include_str!("../README.md")]

mod file_hash;
mod file_search;
mod picture_settings;
pub mod png_chunks;

pub use file_hash::{FileHashes, HashesInBackground, sha256};
pub use file_search::{FileSearch, FileSearchError};
pub use picture_settings::{FoundSettings, PictureSettingsError, read_settings};
