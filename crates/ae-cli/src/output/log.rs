use std::io::{self, Write};

use ae_files::show_foreign;
use tracing_subscriber::filter::LevelFilter;

use crate::Verbosity;

/// Says what a server notes, a line for each thing with its names and values.
pub(crate) fn listen(verbosity: Verbosity) {
    let most = match verbosity {
        Verbosity { quiet: true, .. } => LevelFilter::ERROR,
        Verbosity { verbose: true, .. } => LevelFilter::DEBUG,
        _ => LevelFilter::INFO,
    };
    let lines =
        tracing_subscriber::fmt().with_max_level(most).with_target(false).with_ansi(false).with_writer(|| Terminal);
    // Of two in a program the first listens.
    let _ = lines.try_init();
}

/// The standard error, to which nothing comes that a terminal obeys.
struct Terminal;

impl Write for Terminal {
    /// Takes a whole line: the subscriber writes one at a time.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shown = show_foreign(String::from_utf8_lossy(line).trim_end_matches('\n'), usize::MAX, false);
        writeln!(io::stderr(), "{shown}").map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
