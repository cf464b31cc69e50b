use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde::Deserialize;
use wait4::Wait4;

use crate::failure::Failure;

/// What a run took.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(super) struct Measured {
    /// Seconds of every denoising step.
    pub(super) steps: Vec<f64>,
    /// Seconds of the whole.
    pub(super) seconds: f64,
    /// Largest resident memory, in bytes.
    pub(super) peak: u64,
    #[serde(default)]
    pub(super) refinement_updates: usize,
}

/// What a process printed, its seconds, and its largest resident memory in bytes.
pub(super) fn timed(command: &mut Command) -> Result<(Vec<u8>, f64, u64), Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |error: &dyn std::fmt::Display| Failure::new(format!("`{program}`: {error}"));
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|error| failed(&error))?;
    let mut printed = Vec::new();
    let mut stdout = child.stdout.take().expect("a pipe");
    stdout.read_to_end(&mut printed).map_err(|error| failed(&error))?;
    let used = child.wait4().map_err(|error| failed(&error))?;
    if !used.status.success() {
        return Err(failed(&used.status));
    }
    Ok((printed, start.elapsed().as_secs_f64(), used.rusage.maxrss))
}
