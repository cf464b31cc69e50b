use std::path::PathBuf;
use std::process::Command;

use crate::failure::Failure;
use crate::process::{run as run_program, workspace_root};
use crate::python;

/// Write the committed fixtures anew from the Python reference
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The Python that has torch, diffusers and transformers
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Which fixtures, of the groups that tests/reference/make_fixtures.py lists; all if none is given
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
}

pub(crate) fn run(Arguments { python, groups }: &Arguments) -> Result<(), Failure> {
    python::check(python)?;
    run_program(Command::new(python).arg(workspace_root().join("tests/reference/make_fixtures.py")).args(groups))
}
