#![doc = include_str!("../README.md")]

mod name;
pub mod png_chunks;
mod whole;

pub use name::{folder_name, is_former_name};
pub use whole::{remove_folder, remove_unfinished, write_file, write_file_by_path, write_folder};
