use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::process::{run as run_program, workspace_cargo, workspace_root};
use crate::python;

/// Run the tests, with cargo-nextest where it is installed
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Also run the slow tests, against models of the real size that the Python reference builds first (20 GB)
    #[arg(long)]
    full: bool,
    /// With --full: the Python that has torch, diffusers and transformers
    #[arg(long, default_value = "python3", requires = "full")]
    python: PathBuf,
    /// With --full: where the models are, or will be [default: target/full-models]
    #[arg(long, requires = "full", value_name = "DIR")]
    models: Option<PathBuf>,
    /// Passed on to the test runner, e.g. `-p ae-clip` or a part of a test's name; without any the doctests run too
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    passed_on: Vec<String>,
}

/// Everything in release: the tests run a neural network, and share the build of it with `cargo xtask generate`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { full, python, models, passed_on } = arguments;
    let mut tests = workspace_cargo();
    let mut slow: &[&str] = &[];
    if has_nextest() {
        tests.args(["nextest", "run", "--release"]);
        slow = &["--run-ignored", "all"];
    } else {
        tests.args(["test", "--release", "--tests"]);
    }
    if *full {
        let models = models.clone().unwrap_or_else(|| workspace_root().join("target/full-models"));
        build_full_models(python, &models)?;
        tests.args(slow).env("AE_FULL_MODELS", models);
    }
    tests.args(passed_on);
    if *full && slow.is_empty() {
        tests.args(["--", "--include-ignored"]);
    }
    run_program(&mut tests)?;
    if passed_on.is_empty() {
        run_program(workspace_cargo().args(["test", "--release", "--doc"]))?;
    }
    Ok(())
}

/// The models that are there already are kept.
fn build_full_models(python: &Path, models: &Path) -> Result<(), Failure> {
    python::check(python)?;
    run_program(Command::new(python).arg(workspace_root().join("tests/reference/make_full.py")).arg(models))
}

fn has_nextest() -> bool {
    let mut version = workspace_cargo();
    version.args(["nextest", "--version"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}
