use std::io::IsTerminal;

use ae_pipeline::{Event, Losses};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::say;
use crate::Verbosity;

/// Shows how far a picture is: a bar on a terminal, a line now and then elsewhere.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    /// The seeds, and the device where there are several.
    name: String,
    seeds: Vec<u64>,
    verbosity: Verbosity,
    loss: Option<f32>,
}

/// Steps between two lines where there is no terminal.
const STRIDE: usize = 10;

impl Progress {
    /// Of the pictures of `seeds`, which are drawn together; `place` says where, if that is not clear.
    pub(crate) fn new(verbosity: Verbosity, seeds: &[u64], place: &str, bars: &MultiProgress) -> Self {
        let list = seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let name = format!("seed{} {list}{place}", if seeds.len() > 1 { "s" } else { "" });
        let bar = (!verbosity.quiet && std::io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg} {eta} left")
                .expect("a valid template")
                .progress_chars("=> ");
            bars.add(ProgressBar::new(0).with_style(style)).with_prefix(name.clone())
        });
        Self { bar, name, seeds: seeds.to_vec(), verbosity, loss: None }
    }

    pub(crate) fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Evaluated { step, num_steps, iteration, picture, losses } => {
                self.evaluated(*step, *num_steps, *iteration, *picture, losses);
            }
            Event::Denoised { step, num_steps, .. } => self.denoised(step + 1, *num_steps),
            _ => {}
        }
    }

    fn evaluated(&mut self, step: usize, num_steps: usize, iteration: usize, picture: usize, losses: &Losses) {
        self.loss = Some(losses.loss);
        if let Some(bar) = &self.bar {
            bar.set_length(num_steps as u64);
            let refining = if iteration > 0 { format!(", refinement {iteration}") } else { String::new() };
            bar.set_message(format!("loss {:.3}{refining}", losses.loss));
        }
        if self.verbosity.verbose {
            let each: Vec<_> = losses.values().map(|loss| format!("{loss:.4}")).collect();
            let seed = if self.seeds.len() > 1 { format!("seed {}, ", self.seeds[picture]) } else { String::new() };
            self.line(&format!("{seed}step {step}, iteration {iteration}: losses {}", each.join(" ")));
        }
    }

    fn denoised(&mut self, done: usize, num_steps: usize) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(num_steps as u64);
                bar.set_position(done as u64);
            }
            None if !self.verbosity.quiet && (done.is_multiple_of(STRIDE) || done == num_steps) => {
                let loss = self.loss.map(|loss| format!(", loss {loss:.3}")).unwrap_or_default();
                self.line(&format!("{}: step {done}/{num_steps}{loss}", self.name));
            }
            None => {}
        }
        // Past the guided steps there is no loss to show.
        self.loss = None;
    }

    fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => say(line),
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
