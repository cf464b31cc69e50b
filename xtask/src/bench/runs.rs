//! Runs of `ae` and of the reference with the same settings.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::measured::{Measured, timed};
use crate::failure::Failure;
use crate::process::workspace_root;
use crate::python::script;

pub(super) const ATTEND_AND_EXCITE: &str = "attend-and-excite";
pub(super) const STABLE_DIFFUSION: &str = "stable-diffusion";
pub(super) const METHODS: [&str; 2] = [ATTEND_AND_EXCITE, STABLE_DIFFUSION];

/// The settings of a run.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// None is the embedded one.
    pub(super) model: Option<PathBuf>,
    pub(super) prompt: &'static str,
    pub(super) token_indices: &'static str,
    /// None is the model's own number.
    pub(super) steps: Option<usize>,
    pub(super) max_iter_to_alter: usize,
    pub(super) thresholds: &'static str,
    pub(super) seeds: &'static str,
    pub(super) batch_size: usize,
}

impl Run {
    /// The embedded model with the paper's settings.
    pub(super) fn embedded() -> Self {
        Self {
            model: None,
            prompt: "a lion and a red car",
            token_indices: "2,6",
            steps: None,
            max_iter_to_alter: 25,
            thresholds: "0:0.05,10:0.5,20:0.8",
            seeds: "42",
            batch_size: 1,
        }
    }

    /// A run of `ae generate`: the whole process.
    pub(super) fn ours(&self, method: &str, threads: usize) -> Result<Measured, Failure> {
        let folder = workspace_root().join("target/bench");
        let mut command = Command::new(workspace_root().join("target/release/ae"));
        command.args(["generate", "--quiet", "--trace", "--prompt", self.prompt, "--seeds", self.seeds]);
        command.args(["--method", method, "--token-indices", self.token_indices]);
        command.args(["--thresholds", self.thresholds, "--batch-size", &self.batch_size.to_string()]);
        command.args(["--max-iter-to-alter", &self.max_iter_to_alter.to_string()]).arg("--output").arg(&folder);
        command.args(self.steps.map(|steps| format!("--steps={steps}")));
        if let Some(model) = &self.model {
            command.arg("--model").arg(model);
        }
        let (printed, seconds, peak) = timed(command.env("RAYON_NUM_THREADS", threads.to_string()))?;
        let printed = String::from_utf8_lossy(&printed);
        let is_trace = |path: &&Path| path.extension().is_some_and(|extension| extension == "json");
        let traces = printed.lines().map(Path::new).filter(is_trace).map(|path| trace(path, &read(path)?));
        let traces = traces.collect::<Result<Vec<_>, _>>()?;
        let refinement_updates = traces.iter().map(|(_, updates)| updates).sum();
        let first = traces.into_iter().next();
        let (steps, _) = first.ok_or_else(|| Failure::new("`ae generate --trace` wrote no trace"))?;
        Ok(Measured { steps, seconds, peak, refinement_updates })
    }

    /// A run of tests/reference/measure_speed.py: its seconds are those of the pipeline's call.
    pub(super) fn reference(
        &self,
        method: &str,
        python: &Path,
        model: &Path,
        threads: usize,
    ) -> Result<Measured, Failure> {
        let mut command = script(python, "measure_speed.py");
        command.arg(model);
        command.args(["--method", method, "--prompt", self.prompt, "--seed", self.seeds]);
        command.args(["--token-indices", self.token_indices, "--threads", &threads.to_string()]);
        command.args(["--max-iter-to-alter", &self.max_iter_to_alter.to_string()]);
        command.args(["--steps", &self.steps.unwrap_or(50).to_string()]);
        let defaults = model.join("attend_and_excite.json");
        if defaults.exists() {
            let settings = read(&defaults)?;
            for name in ["guidance_scale", "scale_factor", "attention_reduction"] {
                let number = settings[name].as_number().ok_or_else(|| lacks(&defaults, name))?;
                command.arg(format!("--{}={number}", name.replace('_', "-")));
            }
        }
        let (printed, ..) = timed(command.stderr(Stdio::inherit()))?;
        let last = printed.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        serde_json::from_slice(last)
            .map_err(|error| Failure::new(format!("measure_speed.py printed no figures: {error}")))
    }
}

/// Seconds of every step of a trace, and the updates of its refinement.
fn trace(path: &Path, record: &Value) -> Result<(Vec<f64>, usize), Failure> {
    let steps = record["trace"]["steps"].as_array().ok_or_else(|| lacks(path, "trace.steps"))?;
    let seconds = steps.iter().map(|step| step["seconds"].as_f64().ok_or_else(|| lacks(path, "seconds")));
    let guidance = steps.iter().map(|step| &step["guidance"]).filter(|guidance| !guidance.is_null());
    // At the first latents, and after each update.
    let evaluations =
        guidance.map(|guidance| guidance["evaluations"].as_array().map(|all| all.len().saturating_sub(1)));
    let updates = evaluations.sum::<Option<_>>().ok_or_else(|| lacks(path, "guidance.evaluations"))?;
    Ok((seconds.collect::<Result<_, _>>()?, updates))
}

fn lacks(path: &Path, field: &str) -> Failure {
    Failure::new(format!("{}: {field} is not there, or of another type", path.display()))
}

fn read(path: &Path) -> Result<Value, Failure> {
    let failed = |error: &dyn fmt::Display| Failure::new(format!("{}: {error}", path.display()));
    let text = std::fs::read(path).map_err(|error| failed(&error))?;
    serde_json::from_slice(&text).map_err(|error| failed(&error))
}
