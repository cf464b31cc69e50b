#![doc = include_str!("../README.md")]

mod foreign_text;
mod memory;
mod name;
mod open;
pub mod png_chunks;
mod whole;
mod wrap;

pub use foreign_text::show_foreign;
pub use memory::SystemMemory;
pub use name::{folder_name, is_former_name, is_plain_name};
pub use open::{decode_text, open_file, read_file, read_text};
pub use whole::{
    remove_folder, remove_unfinished, try_folder, write_file, write_file_by_path, write_folder, write_folder_by_path,
};
pub use wrap::wrapped;
