use std::io::IsTerminal as _;

use attend_and_excite::remote::RemoteEvent;
use indicatif::{ProgressBar, ProgressStyle};

use super::say;
use crate::Verbosity;

/// Steps between two lines where there is no terminal.
const STRIDE: usize = 10;

/// Shows how far a job on another machine is: a bar on a terminal, a line now and then elsewhere.
pub(crate) struct RemoteProgress {
    bar: ProgressBar,
    is_quiet: bool,
    loss: Option<f64>,
    /// Jobs that were before it, and subjects, as they were said last.
    said: (Option<usize>, Vec<String>),
}

impl RemoteProgress {
    pub(crate) fn new(verbosity: Verbosity) -> Self {
        let is_shown = !verbosity.quiet && std::io::stderr().is_terminal();
        let bar = if is_shown { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg} {eta} left");
        let bar = bar.with_style(style.expect("a valid template").progress_chars("=> "));
        Self { bar, is_quiet: verbosity.quiet, loss: None, said: (None, Vec::new()) }
    }

    /// Does what writes lines while the bar is away.
    pub(crate) fn suspend<T>(&self, work: impl FnOnce() -> T) -> T {
        self.bar.suspend(work)
    }

    pub(crate) fn show(&mut self, event: &RemoteEvent<'_>) {
        match event {
            RemoteEvent::Waiting { before } if self.said.0 != Some(*before) && *before > 0 => {
                self.said.0 = Some(*before);
                self.line(&format!("{before} job(s) of the studio are drawn before"));
            }
            RemoteEvent::Started { subjects, .. } if *subjects != self.said.1 => {
                self.said.1 = subjects.to_vec();
                self.line(&format!("subjects: {}", subjects.join(", ")));
            }
            RemoteEvent::Note(note) => self.line(&format!("note: {note}")),
            RemoteEvent::Loss { loss } => self.loss = Some(*loss),
            RemoteEvent::Step { seed, done, num_steps, run, runs } => {
                let loss = self.loss.take().map(|loss| format!(", loss {loss:.3}")).unwrap_or_default();
                self.bar.set_length((runs * num_steps) as u64);
                self.bar.set_position((run * num_steps + done) as u64);
                self.bar.set_prefix(format!("seed {seed}"));
                self.bar.set_message(loss.trim_start_matches(", ").to_owned());
                if self.bar.is_hidden() && (done.is_multiple_of(STRIDE) || done == num_steps) {
                    self.line(&format!("seed {seed}: step {done}/{num_steps}{loss}"));
                }
            }
            _ => {}
        }
    }

    fn line(&self, line: &str) {
        if !self.is_quiet {
            self.suspend(|| say(line));
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
