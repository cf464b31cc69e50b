//! Engines for one noise prediction, which stay loaded and take turns.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::measured::Measured;
use crate::failure::Failure;

/// Largest difference of two engines' predictions that counts as the same, by the norm of the prediction.
const SAME: f64 = 1e-3;

/// A process that predicts the noise once for each line that it is sent (tests/benches/step.rs and
/// tests/reference/measure_engines.py).
pub(super) struct Engine {
    pub(super) name: &'static str,
    /// Of its prediction to torch's, by the norm.
    pub(super) difference: f64,
    process: Child,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

#[derive(Deserialize)]
struct Ready {
    difference: f64,
}

#[derive(Deserialize)]
struct Prediction {
    seconds: f64,
    peak: u64,
}

impl Engine {
    /// Starts an engine and waits until it has predicted once, which must be what torch predicts.
    pub(super) fn start(name: &'static str, command: &mut Command) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new(format!("{name}: {error}"));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let requests = process.stdin.take().expect("a pipe");
        let answers = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let mut engine = Self { name, difference: f64::NAN, process, requests, answers };
        let Ready { difference } = engine.answer()?;
        engine.difference = difference;
        if difference <= SAME {
            return Ok(engine);
        }
        Err(Failure::new(format!("{name} does not predict what torch predicts: it is off by {difference:.1e}")))
    }

    /// Predicts once.
    pub(super) fn predict(&mut self) -> Result<Measured, Failure> {
        writeln!(self.requests).map_err(|error| Failure::new(format!("{}: {error}", self.name)))?;
        let Prediction { seconds, peak } = self.answer()?;
        Ok(Measured { seconds, peak, ..Measured::default() })
    }

    fn answer<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        let name = self.name;
        let ended = || Failure::new(format!("{name} ended without an answer"));
        let line = self.answers.next().ok_or_else(ended)?;
        let line = line.map_err(|error| Failure::new(format!("{name}: {error}")))?;
        serde_json::from_str(&line).map_err(|error| Failure::new(format!("{name} answered '{line}': {error}")))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn engine(script: &str) -> Result<Engine, Failure> {
        Engine::start("engine", Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn an_engine_answers_each_request() {
        let answer = r#"while read line; do echo '{"seconds": 1.5, "peak": 7}'; done"#;
        let mut engine = engine(&format!("echo '{{\"difference\": 1e-6}}'; {answer}")).unwrap();
        for _ in 0..2 {
            let Measured { seconds, peak, .. } = engine.predict().unwrap();
            assert!((seconds - 1.5).abs() < 1e-9 && peak == 7);
        }
    }

    #[test]
    fn another_prediction_is_not_measured() {
        for difference in ["0.01", "NaN", "null"] {
            assert!(engine(&format!("echo '{{\"difference\": {difference}}}'; cat")).is_err(), "{difference}");
        }
        let Err(Failure { message, .. }) = engine("exit 3") else { panic!("it ended") };
        assert_eq!(message, "engine ended without an answer");
    }
}
