use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ae_hub::Waiting;
use attend_and_excite::size;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{say, shown};

/// Shows a download: a bar per file on a terminal, a line per file elsewhere.
pub(crate) struct Download {
    quiet: bool,
    bar: Option<ProgressBar>,
    interrupted: Arc<AtomicBool>,
}

impl Download {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { quiet, bar: None, interrupted: Arc::default() }
    }

    /// Ends the download once the flag is set; it goes on from there the next time.
    pub(crate) fn interrupted_by(self, interrupted: Arc<AtomicBool>) -> Self {
        Self { interrupted, ..self }
    }

    fn go_on(&self) -> ControlFlow<()> {
        if self.interrupted.load(Ordering::SeqCst) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn line(&self, line: &str) {
        match &self.bar {
            _ if self.quiet => {}
            Some(bar) => bar.println(shown(line)),
            None => say(line),
        }
    }
}

impl ae_hub::Progress for Download {
    fn planned(&mut self, files: usize, bytes: u64) {
        self.line(&format!("downloading {files} file(s), {}", size(bytes)));
    }

    fn started(&mut self, file: &str, bytes: u64, present: u64) {
        if self.quiet || !std::io::stderr().is_terminal() {
            self.line(&format!("{file}: {}", size(bytes)));
            return;
        }
        let style =
            ProgressStyle::with_template("{prefix} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta} left")
                .expect("a valid template")
                .progress_chars("=> ");
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr()).with_style(style);
        bar.set_position(present);
        self.bar = Some(bar.with_prefix(shown(file)));
    }

    fn advanced(&mut self, bytes: u64) -> ControlFlow<()> {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
        self.go_on()
    }

    fn finished(&mut self, _: &str) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn waiting(&mut self, waiting: Waiting<'_>) -> ControlFlow<()> {
        match waiting {
            Waiting::OtherProcess { file } => self.line(&format!("waiting for another process that downloads {file}")),
            Waiting::Retry { cause, wait } => {
                self.line(&format!("{cause}; trying again in {} s", wait.as_secs()));
            }
            _ => {}
        }
        self.go_on()
    }
}
