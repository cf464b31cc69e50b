use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::generate::BACKENDS;
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
    /// Run only what compares a device with the CPU and the reference, on this device, e.g. `wgpu` or `cuda:1`
    #[arg(long, value_name = "DEVICE", conflicts_with = "full")]
    device: Option<String>,
    /// Passed on to the test runner, e.g. `-p ae-clip` or a part of a test's name; without any the doctests run too
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    passed_on: Vec<String>,
}

/// Everything in release: the tests run a neural network, and share the build of it with `cargo xtask generate`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { full, python, models, device, passed_on } = arguments;
    if let Some(device) = device {
        return run_on(device, passed_on);
    }
    let (mut tests, has_nextest) = runner();
    let mut slow: &[&str] = &[];
    if has_nextest {
        slow = &["--run-ignored", "all"];
    } else {
        tests.arg("--tests");
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

/// The operations, the stages and whole runs of the embedded model on a device.
fn run_on(device: &str, passed_on: &[String]) -> Result<(), Failure> {
    let backend = device.split(':').next().unwrap_or_default();
    if !BACKENDS[1..].contains(&backend) {
        let expected = BACKENDS[1..].join(", ");
        return Err(Failure::usage(format!("--device expects a device of {expected}, found '{device}'")));
    }
    let features = format!("ae-tests/{backend},ae-cli/{backend}");
    for (binary, filters) in [("device", &[][..]), ("parity", &["stages::", "guided_run::sprites"])] {
        let (mut tests, _) = runner();
        tests.args(["--features", &features, "--test", binary]).env("AE_TEST_DEVICE", device);
        run_program(tests.args(passed_on).arg("--").args(filters))?;
    }
    Ok(())
}

/// The test runner, and whether it is nextest.
fn runner() -> (Command, bool) {
    let mut tests = workspace_cargo();
    let has_nextest = has_nextest();
    if has_nextest {
        tests.args(["nextest", "run", "--release"]);
    } else {
        tests.args(["test", "--release"]);
    }
    (tests, has_nextest)
}

/// The models that are there already are kept.
fn build_full_models(python: &Path, models: &Path) -> Result<(), Failure> {
    python::check(python)?;
    run_program(python::script(python, "make_full.py").arg(models))
}

fn has_nextest() -> bool {
    let mut version = workspace_cargo();
    version.args(["nextest", "--version"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}
