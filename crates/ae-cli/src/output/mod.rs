//! What a command leaves behind: pictures, records, lines on the terminal.

mod compose;
mod files;
mod progress;
mod record;

use std::io::Write;

pub(crate) use compose::{grid, side_by_side};
pub(crate) use files::Files;
pub(crate) use progress::Progress;
pub(crate) use record::Record;

/// A line for the person at the terminal. A closed stream is no reason to stop drawing.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A result, for the person or the next program.
pub(crate) fn print(text: &str) {
    let _ = write!(std::io::stdout(), "{text}");
}
