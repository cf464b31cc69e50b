//! What a command leaves behind: pictures, records, lines on the terminal.

mod download;
mod figures;
mod files;
mod log;
pub(crate) mod preview;
mod progress;
mod remote_progress;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

use ae_files::{show_foreign, wrapped};
use console::Term;
pub(crate) use download::Download;
pub(crate) use figures::write_figures;
pub(crate) use files::{Files, encode_plain_png, trace_json, try_places, write_whole};
pub(crate) use log::listen;
pub(crate) use progress::Progress;
pub(crate) use remote_progress::RemoteProgress;

/// The first failure of the standard output: pictures are drawn nevertheless, and the command fails at its end.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// A line for the person at the terminal, in which names from files and servers may stand. A closed stream is no reason to stop drawing.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{}", for_terminal(&shown(line), &Term::stderr()));
}

/// Says why a command fails; a name of any length in it is cut.
pub(crate) fn say_error(error: &dyn std::fmt::Display) {
    /// Characters, two pages of a terminal.
    const LONGEST: usize = 4000;
    say(&show_foreign(&format!("error: {error}"), LONGEST, true));
}

/// A text of any length with nothing that a terminal obeys but line breaks.
pub(crate) fn shown(text: &str) -> String {
    show_foreign(text, usize::MAX, true)
}

/// A text as a terminal shows it best; as it is where the stream is none. clap would wrap its help with the feature `wrap_help`, whose
/// terminal_size builds rustix, and with it burn, with other features.
fn for_terminal(text: &str, terminal: &Term) -> String {
    /// Columns beyond which a line is hard to read.
    const WIDEST: usize = 120;
    if !terminal.is_term() {
        return text.to_owned();
    }
    wrapped(text, usize::from(terminal.size().1).min(WIDEST), console::measure_text_width)
}

/// Prints what clap says: help and version, which are results, or what is wrong with the arguments.
pub(crate) fn print_clap(error: &clap::Error) {
    let (terminal, coloured) = if error.use_stderr() {
        (Term::stderr(), console::colors_enabled_stderr())
    } else {
        (Term::stdout(), console::colors_enabled())
    };
    let printed = if terminal.is_term() {
        let text = error.render();
        let text = if coloured { text.ansi().to_string() } else { text.to_string() };
        terminal.write_str(&for_terminal(&text, &terminal))
    } else {
        error.print()
    };
    if !error.use_stderr() {
        keep_failure(printed);
    }
}

/// A file that was written, for the person or the next program.
pub(crate) fn print_path(path: &Path) {
    print(&format!("{}\n", path.display()));
}

/// A result, for the person or the next program.
pub(crate) fn print(text: &str) {
    keep_failure(write!(io::stdout(), "{text}"));
}

/// The failure of anything that was printed. A reader that has gone, such as `head`, is none.
pub(crate) fn finish_printing() -> io::Result<()> {
    keep_failure(io::stdout().flush());
    let failed = FAILED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    failed.map_or(Ok(()), Err)
}

/// Remembers why nothing could be printed.
pub(crate) fn keep_failure(printed: io::Result<()>) {
    if let Err(error) = printed
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        FAILED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(error);
    }
}
