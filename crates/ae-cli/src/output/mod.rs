//! What a command leaves behind: pictures, records, lines on the terminal.

mod download;
mod figures;
mod files;
mod progress;

use std::io::Write;
use std::path::Path;

pub(crate) use download::Download;
pub(crate) use figures::write_figures;
pub(crate) use files::{Files, encode_plain_png, trace_json, write_whole};
pub(crate) use progress::Progress;

/// A line for the person at the terminal. A closed stream is no reason to stop drawing.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A file that was written, for the person or the next program.
pub(crate) fn print_path(path: &Path) {
    print(&format!("{}\n", path.display()));
}

/// A result, for the person or the next program.
pub(crate) fn print(text: &str) {
    let _ = write!(std::io::stdout(), "{text}");
}
