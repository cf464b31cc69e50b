use std::io::IsTerminal;

use ae_pipeline::{Event, Losses};
use ae_settings::Settings;
use attend_and_excite::{JobProgress, Pass};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

use super::say;
use crate::Verbosity;

/// Shows how far all pictures of a command are: one bar on a terminal, a line now and then elsewhere.
pub(crate) struct Progress {
    job: JobProgress,
    bar: Option<ProgressBar>,
    verbosity: Verbosity,
}

/// The pictures that are drawn together, within all.
pub(crate) struct Shown<'a> {
    all: &'a Progress,
    pass: Pass,
    settings: &'a Settings,
    seeds: &'a [u64],
    loss: Option<f32>,
    doing: String,
}

/// Steps between two lines where there is no terminal.
const STRIDE: usize = 10;

impl Progress {
    pub(crate) fn new(verbosity: Verbosity, job: JobProgress) -> Self {
        let bar = (!verbosity.quiet && std::io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("{prefix} [{bar:30}] {wide_msg}")
                .expect("a valid template")
                .progress_chars("=> ");
            // Also where an error ends the command.
            ProgressBar::new(0).with_style(style).with_finish(ProgressFinish::AndClear)
        });
        Self { job, bar, verbosity }
    }

    /// The pictures of `seeds` are begun; `place` says where, if that is not clear.
    pub(crate) fn begin<'a>(
        &'a self,
        settings: &'a Settings,
        seeds: &'a [u64],
        is_plain: bool,
        place: &str,
    ) -> Shown<'a> {
        let pass = self.job.begin(seeds, is_plain, place);
        Shown { all: self, pass, settings, seeds, loss: None, doing: String::new() }
    }

    /// Something else is written to the terminal.
    pub(crate) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Says what was drawn.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if !self.verbosity.quiet {
            say(&self.job.summary());
        }
    }
}

impl Shown<'_> {
    pub(crate) fn show(&mut self, event: &Event<'_>) {
        self.all.job.observe(&mut self.pass, self.settings, event);
        match event {
            Event::Evaluated { step, num_steps, iteration, picture, losses } => {
                self.evaluated(*step, *num_steps, *iteration, *picture, losses);
            }
            Event::SearchedNoise { pass, losses, .. } => {
                self.doing = format!("noise, pass {}, loss {:.3}", pass + 1, losses.loss);
                self.draw();
            }
            Event::Denoised { step, num_steps, .. } => self.denoised(step + 1, *num_steps),
            _ => {}
        }
    }

    fn evaluated(&mut self, step: usize, num_steps: usize, iteration: usize, picture: usize, losses: &Losses) {
        self.loss = Some(losses.loss);
        let refining = if iteration > 0 { format!(", refinement {iteration}") } else { String::new() };
        self.doing = format!("step {}/{num_steps}, loss {:.3}{refining}", step + 1, losses.loss);
        self.draw();
        if self.all.verbosity.verbose {
            let each: Vec<_> = losses.values().map(|loss| format!("{loss:.4}")).collect();
            let seed = if self.seeds.len() > 1 { format!("seed {}, ", self.seeds[picture]) } else { String::new() };
            let line = format!("{seed}step {step}, iteration {iteration}: losses {}", each.join(" "));
            self.all.suspend(|| say(&line));
        }
    }

    fn denoised(&mut self, done: usize, num_steps: usize) {
        self.doing = format!("step {done}/{num_steps}");
        self.draw();
        let is_said = done.is_multiple_of(STRIDE) || done == num_steps;
        if self.all.bar.is_none() && !self.all.verbosity.quiet && is_said {
            let loss = self.loss.map(|loss| format!(", loss {loss:.3}")).unwrap_or_default();
            say(&format!("{}: step {done}/{num_steps}{loss}", self.pass.name));
        }
        // Past the guided steps there is no loss to show.
        self.loss = None;
    }

    fn draw(&self) {
        let Some(bar) = &self.all.bar else { return };
        if let Some((done, all)) = self.all.job.steps() {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        }
        bar.set_prefix(self.pass.name.clone());
        bar.set_message(format!("{}, {}", self.doing, self.all.job.times()));
    }
}
