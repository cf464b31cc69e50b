//! Runs of `ae` and of the reference with the same settings.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::measured::{Measured, timed};
use crate::failure::Failure;
use crate::process::workspace_root;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    AttendAndExcite,
    StableDiffusion,
}

impl Method {
    pub(super) const ALL: [Self; 2] = [Self::AttendAndExcite, Self::StableDiffusion];
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AttendAndExcite => "attend-and-excite",
            Self::StableDiffusion => "stable-diffusion",
        })
    }
}

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

/// What is read of a trace.
#[derive(Deserialize)]
struct Record {
    trace: Trace,
}

#[derive(Deserialize)]
struct Trace {
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    seconds: f64,
    guidance: Option<Guidance>,
}

#[derive(Deserialize)]
struct Guidance {
    /// At the first latents, and after each update.
    evaluations: Vec<IgnoredAny>,
}

impl Guidance {
    fn refinement_updates(&self) -> usize {
        self.evaluations.len().saturating_sub(1)
    }
}

/// The settings of a model that the reference has to be told.
#[derive(Deserialize)]
struct Defaults {
    guidance_scale: f64,
    scale_factor: f64,
    attention_reduction: usize,
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
    pub(super) fn ours(&self, method: Method, threads: usize) -> Result<Measured, Failure> {
        let folder = workspace_root().join("target/bench");
        let mut command = Command::new(workspace_root().join("target/release/ae"));
        command.args(["generate", "--quiet", "--trace", "--prompt", self.prompt, "--seeds", self.seeds]);
        command.args(["--method", &method.to_string(), "--token-indices", self.token_indices]);
        command.args(["--thresholds", self.thresholds, "--batch-size", &self.batch_size.to_string()]);
        command.args(["--max-iter-to-alter", &self.max_iter_to_alter.to_string()]).arg("--output").arg(&folder);
        command.args(self.steps.map(|steps| format!("--steps={steps}")));
        if let Some(model) = &self.model {
            command.arg("--model").arg(model);
        }
        let (printed, seconds, peak) = timed(command.env("RAYON_NUM_THREADS", threads.to_string()))?;
        let printed = String::from_utf8_lossy(&printed);
        let is_trace = |path: &&Path| path.extension().is_some_and(|extension| extension == "json");
        let traces = printed.lines().map(Path::new).filter(is_trace).map(read);
        let traces = traces.map(|record| record.map(|Record { trace }| trace)).collect::<Result<Vec<_>, _>>()?;
        let guidance = traces.iter().flat_map(|trace| &trace.steps).filter_map(|step| step.guidance.as_ref());
        let first = traces.first().ok_or_else(|| Failure::new("`ae generate --trace` wrote no trace"))?;
        Ok(Measured {
            refinement_updates: guidance.map(Guidance::refinement_updates).sum(),
            steps: first.steps.iter().map(|step| step.seconds).collect(),
            seconds,
            peak,
        })
    }

    /// A run of tests/reference/measure_speed.py: its seconds are those of the pipeline's call.
    pub(super) fn reference(
        &self,
        method: Method,
        python: &Path,
        model: &Path,
        threads: usize,
    ) -> Result<Measured, Failure> {
        let mut command = Command::new(python);
        command.arg(workspace_root().join("tests/reference/measure_speed.py")).arg(model);
        command.args(["--method", &method.to_string(), "--prompt", self.prompt, "--seed", self.seeds]);
        command.args(["--token-indices", self.token_indices, "--threads", &threads.to_string()]);
        command.args(["--max-iter-to-alter", &self.max_iter_to_alter.to_string()]);
        command.args(["--steps", &self.steps.unwrap_or(50).to_string()]);
        let defaults = model.join("attend_and_excite.json");
        if defaults.exists() {
            let Defaults { guidance_scale, scale_factor, attention_reduction } = read(&defaults)?;
            command.args(["--guidance-scale", &guidance_scale.to_string()]);
            command.args(["--scale-factor", &scale_factor.to_string()]);
            command.args(["--attention-reduction", &attention_reduction.to_string()]);
        }
        // A workplace's settings for old versions of a library that torch brings in a newer one.
        command.env_remove("OPENBLAS_CORETYPE").env_remove("OPENBLAS_L2_SIZE");
        let (printed, ..) = timed(command.stderr(Stdio::inherit()))?;
        let last = printed.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        serde_json::from_slice(last)
            .map_err(|error| Failure::new(format!("measure_speed.py printed no figures: {error}")))
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let failed = |error: &dyn fmt::Display| Failure::new(format!("{}: {error}", path.display()));
    let text = std::fs::read(path).map_err(|error| failed(&error))?;
    serde_json::from_slice(&text).map_err(|error| failed(&error))
}
