//! How far a job of several pictures is, and how long the rest of it takes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ae_pipeline::Event;
use ae_settings::Settings;

/// How much longer a guided step is taken to be than a plain one as long as no plain one was seen.
const GUIDED_COST: f64 = 3.0;

/// The pictures of one call, which several devices may draw.
#[derive(Debug)]
pub struct JobProgress {
    pictures: usize,
    state: Mutex<State>,
    started: Instant,
}

/// Steps are counted once for every picture that takes them.
#[derive(Debug)]
struct State {
    devices: usize,
    /// Pictures with and without guidance that are to be drawn.
    planned: [usize; 2],
    begun: usize,
    finished: usize,
    /// Steps of a picture, and those of them that are guided.
    steps: Option<(usize, usize)>,
    guided: Pace,
    plain: Pace,
}

/// Steps of one kind that were done, and the seconds of a device that they took.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    steps: usize,
    seconds: f64,
}

impl Pace {
    fn add(&mut self, steps: usize, seconds: f64) {
        self.steps += steps;
        self.seconds += seconds;
    }

    /// Seconds of a step.
    fn of_one(self) -> Option<f64> {
        (self.steps > 0).then(|| self.seconds / self.steps as f64)
    }
}

/// Pictures that are drawn together.
#[derive(Debug)]
pub struct Pass {
    /// What is drawn, and which of all pictures these are: `seed 0 plain (2/4)`.
    pub name: String,
    pictures: usize,
    last: Instant,
    was_guided: bool,
}

impl JobProgress {
    /// A job of so many pictures, and as many plain ones for comparison if these are drawn too.
    pub fn new(pictures: usize, with_plain: bool, devices: usize) -> Self {
        let plain = if with_plain { pictures } else { 0 };
        let state = State {
            devices: devices.max(1),
            planned: [pictures, plain],
            begun: 0,
            finished: 0,
            steps: None,
            guided: Pace::default(),
            plain: Pace::default(),
        };
        Self { pictures: pictures + plain, state: Mutex::new(state), started: Instant::now() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pictures of some seeds are begun; `place` names the device where there are several.
    pub fn begin(&self, seeds: &[u64], is_plain: bool, place: &str) -> Pass {
        let mut state = self.state();
        let (first, count) = (state.begun + 1, seeds.len());
        state.begun += count;
        let list = seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let (plural, plain) = (if count > 1 { "s" } else { "" }, if is_plain { " plain" } else { "" });
        let which = match (self.pictures, count) {
            (1, _) => String::new(),
            (all, 1) => format!(" ({first}/{all})"),
            (all, _) => format!(" ({first}-{}/{all})", first + count - 1),
        };
        let name = format!("seed{plural} {list}{plain}{place}{which}");
        Pass { name, pictures: count, last: Instant::now(), was_guided: false }
    }

    /// Takes in an event of a pass that draws with these settings.
    pub fn observe(&self, pass: &mut Pass, settings: &Settings, event: &Event<'_>) {
        match event {
            // It is no part of the first step.
            Event::SearchedNoise { .. } => pass.last = Instant::now(),
            Event::Evaluated { .. } => pass.was_guided = true,
            Event::Denoised { step, num_steps, .. } => {
                let took = pass.last.elapsed().as_secs_f64();
                pass.last = Instant::now();
                let guided = std::mem::take(&mut pass.was_guided);
                let mut state = self.state();
                state.plan(*num_steps, settings);
                state.step(pass.pictures, guided, took);
                if step + 1 == *num_steps {
                    state.finished += pass.pictures;
                }
            }
            _ => {}
        }
    }

    /// Steps that are done and all steps; none before the first.
    pub fn steps(&self) -> Option<(usize, usize)> {
        let state = self.state();
        let (steps, _) = state.steps?;
        Some((state.guided.steps + state.plain.steps, steps * self.pictures))
    }

    /// How long it has taken and how long it will take in all: `12 s of about 29 s`.
    pub fn times(&self) -> String {
        let spent = self.started.elapsed();
        match self.state().seconds_left() {
            Some(left) => {
                format!("{} of about {}", duration(spent), duration(spent + Duration::from_secs_f64(left.max(0.0))))
            }
            None => duration(spent),
        }
    }

    /// What was drawn: `4 pictures in 16 s`.
    pub fn summary(&self) -> String {
        let count = self.state().finished;
        format!("{count} picture{} in {}", if count == 1 { "" } else { "s" }, duration(self.started.elapsed()))
    }
}

impl State {
    /// Learns of how many steps a picture is; the first run tells.
    fn plan(&mut self, num_steps: usize, settings: &Settings) {
        if self.steps.is_none() {
            let altered = settings.attend_and_excite.max_iter_to_alter.resolve(num_steps);
            let guided = if settings.method.guides() { altered.min(num_steps) } else { 0 };
            self.steps = Some((num_steps, guided));
        }
    }

    fn step(&mut self, pictures: usize, is_guided: bool, seconds: f64) {
        if is_guided { &mut self.guided } else { &mut self.plain }.add(pictures, seconds);
    }

    /// Seconds until all is drawn, by the mean times of guided and of plain steps; none before there is any.
    fn seconds_left(&self) -> Option<f64> {
        let (steps, guided) = self.steps?;
        let [with, without] = self.planned;
        let guided_left = (with * guided).saturating_sub(self.guided.steps);
        let plain_left = (with * (steps - guided) + without * steps).saturating_sub(self.plain.steps);
        let plain = self.plain.of_one().or_else(|| self.guided.of_one().map(|guided| guided / GUIDED_COST))?;
        let guided = self.guided.of_one().unwrap_or(GUIDED_COST * plain);
        Some((guided_left as f64 * guided + plain_left as f64 * plain) / self.devices as f64)
    }
}

/// A time in words, to the second, from an hour on to the minute.
fn duration(time: Duration) -> String {
    let seconds = (time + Duration::from_millis(500)).as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pass_is_counted() {
        let job = JobProgress::new(3, true, 1);
        assert_eq!(job.begin(&[0, 1], false, "").name, "seeds 0,1 (1-2/6)");
        assert_eq!(job.begin(&[0, 1], true, " on cpu").name, "seeds 0,1 plain on cpu (3-4/6)");
        assert_eq!(job.begin(&[7], false, "").name, "seed 7 (5/6)");
        assert_eq!(JobProgress::new(1, false, 1).begin(&[42], false, "").name, "seed 42");
        assert_eq!((job.steps(), job.summary().as_str()), (None, "0 pictures in 0 s"));
    }

    /// Two pictures of 10 steps, 4 of them guided, each beside a plain one: 8 guided and 32 plain steps.
    #[test]
    fn guided_and_plain_steps_have_their_own_times() {
        let job = JobProgress::new(2, true, 1);
        let mut settings = Settings::default();
        settings.attend_and_excite.max_iter_to_alter = ae_settings::StepIndex::Percent(40.0);
        let mut state = job.state();
        assert_eq!(state.seconds_left(), None);
        state.plan(10, &settings);
        state.step(1, true, 3.0);
        // The plain ones are guessed to take a third.
        assert_eq!(state.seconds_left(), Some(7.0 * 3.0 + 32.0));
        (0..3).for_each(|_| state.step(1, true, 5.0));
        (0..6).for_each(|_| state.step(1, false, 0.5));
        assert_eq!(state.seconds_left(), Some(4.0 * 4.5 + 26.0 * 0.5));
        // One of a batch of two takes half of the time.
        state.step(2, false, 1.0);
        assert_eq!(state.seconds_left(), Some(4.0 * 4.5 + 24.0 * 0.5));
        state.devices = 2;
        assert_eq!(state.seconds_left(), Some(15.0));
        drop(state);
        assert_eq!(job.steps(), Some((12, 40)));
        // Another method is not guided.
        let plain = JobProgress::new(1, false, 1);
        settings.method = ae_settings::Method::StableDiffusion;
        plain.state().plan(10, &settings);
        plain.state().step(1, false, 2.0);
        assert_eq!(plain.state().seconds_left(), Some(18.0));
    }

    #[test]
    fn times_are_words() {
        let words = [0.4, 59.6, 130.0, 3700.0].map(|seconds| duration(Duration::from_secs_f64(seconds)));
        assert_eq!(words, ["0 s", "1 min 0 s", "2 min 10 s", "1 h 1 min"]);
    }
}
