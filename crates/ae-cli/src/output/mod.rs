//! What a command leaves behind: pictures, records, lines on the terminal.

mod download;
mod figures;
mod files;
mod progress;
mod table;

use std::io::Write;
use std::path::Path;

use ae_pipeline::TokenizedPrompt;

pub(crate) use download::{Download, size};
pub(crate) use figures::write_figures;
pub(crate) use files::{Files, encode_plain_png, trace_json, write_whole};
pub(crate) use progress::Progress;
pub(crate) use table::{Align, table};

/// A line for the person at the terminal. A closed stream is no reason to stop drawing.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Warns of the part of a prompt that the model does not read.
pub(crate) fn warn_of_truncation(prompt: &TokenizedPrompt) {
    /// Characters of it to show.
    const SHOWN: usize = 60;
    if let Some(cut) = prompt.truncation() {
        let mut text: String = cut.text.chars().take(SHOWN).collect();
        if text.len() < cut.text.len() {
            text.push('…');
        }
        say(&format!("warning: the prompt is too long, {} tokens were cut: '{text}'", cut.tokens));
    }
}

/// A file that was written, for the person or the next program.
pub(crate) fn print_path(path: &Path) {
    print(&format!("{}\n", path.display()));
}

/// A result, for the person or the next program.
pub(crate) fn print(text: &str) {
    let _ = write!(std::io::stdout(), "{text}");
}
