use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::process::{run as run_program, workspace_cargo};

/// Run the tests, with cargo-nextest where it is installed
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Also run the slow tests, which read AE_FULL=1
    #[arg(long)]
    full: bool,
    /// Passed on to the test runner, e.g. `-p ae-clip` or a part of a test's name; without any the doctests run too
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Everything in release: the tests run a neural network, and share the build of it with `cargo xtask generate`.
pub(crate) fn run(Arguments { full, arguments }: &Arguments) -> Result<(), Failure> {
    let run = |command: &mut Command| {
        if *full {
            command.env("AE_FULL", "1");
        }
        run_program(command)
    };
    let mut tests = workspace_cargo();
    if has_nextest() {
        tests.args(["nextest", "run", "--release"]);
    } else {
        tests.args(["test", "--release", "--tests"]);
    }
    run(tests.args(arguments))?;
    if arguments.is_empty() {
        run(workspace_cargo().args(["test", "--release", "--doc"]))?;
    }
    Ok(())
}

fn has_nextest() -> bool {
    let mut version = workspace_cargo();
    version.args(["nextest", "--version"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}
