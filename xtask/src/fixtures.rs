use std::path::PathBuf;
use std::process::Command;

use crate::failure::Failure;
use crate::process::{output, run as run_program, workspace_root};

/// Prints those of its arguments that are no installed modules.
const MISSING_MODULES: &str =
    "import importlib.util, sys; print(*(m for m in sys.argv[1:] if importlib.util.find_spec(m) is None))";

/// What the scripts import, by the names that pip knows too, but for `PIL`, which is pillow.
const MODULES: [&str; 6] = ["torch", "diffusers", "transformers", "accelerate", "safetensors", "PIL"];

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
    let missing = output(Command::new(python).args(["-c", MISSING_MODULES]).args(MODULES)).map_err(
        |Failure { message, code }| Failure { message: format!("{message}\nname a Python 3 with --python"), code },
    )?;
    let missing = String::from_utf8_lossy(&missing);
    if !missing.trim().is_empty() {
        return Err(Failure::new(without_modules(&python.display().to_string(), missing.trim())));
    }
    run_program(Command::new(python).arg(workspace_root().join("tests/reference/make_fixtures.py")).args(groups))
}

fn without_modules(python: &str, missing: &str) -> String {
    let packages = MODULES.join(" ").replace("PIL", "pillow");
    format!("{python} lacks the modules {missing}; install them with\n  {python} -m pip install {packages}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_module_comes_with_the_line_that_installs_it() {
        assert_eq!(
            without_modules("python3", "torch PIL"),
            "python3 lacks the modules torch PIL; install them with\n  \
             python3 -m pip install torch diffusers transformers accelerate safetensors pillow"
        );
    }

    #[test]
    fn a_missing_python_is_named() {
        let failure = run(&Arguments { python: "no-such-python".into(), groups: Vec::new() }).unwrap_err();
        assert!(failure.message.starts_with("cannot run `no-such-python`"), "{}", failure.message);
        assert!(failure.message.ends_with("--python"), "{}", failure.message);
    }
}
