//! The Python reference, which is installed by whoever needs it.

use std::path::Path;
use std::process::Command;

use crate::failure::Failure;
use crate::process::{output, workspace_root};

/// Prints those of its arguments that are no installed modules.
const MISSING_MODULES: &str =
    "import importlib.util, sys; print(*(m for m in sys.argv[1:] if importlib.util.find_spec(m) is None))";

/// What the scripts import, by the names that pip knows too, but for `PIL`, which is pillow, and `lycoris`, which is lycoris-lora.
const MODULES: [&str; 8] =
    ["torch", "diffusers", "transformers", "accelerate", "peft", "lycoris", "safetensors", "PIL"];

/// A script of the reference, to be run.
pub(crate) fn script(python: &Path, name: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(workspace_root().join("tests/reference").join(name));
    // Settings for old versions of a library that torch brings in a newer one.
    command.env_remove("OPENBLAS_CORETYPE").env_remove("OPENBLAS_L2_SIZE");
    command
}

/// Whether a Python has what the reference scripts import; the error says how to install it.
pub(crate) fn check(python: &Path) -> Result<(), Failure> {
    check_for(python, &MODULES)
}

/// Whether a Python has these modules.
pub(crate) fn check_for(python: &Path, modules: &[&str]) -> Result<(), Failure> {
    let missing = output(Command::new(python).args(["-c", MISSING_MODULES]).args(modules)).map_err(
        |Failure { message, code }| Failure { message: format!("{message}\nname a Python 3 with --python"), code },
    )?;
    let missing = String::from_utf8_lossy(&missing);
    if missing.trim().is_empty() {
        return Ok(());
    }
    Err(Failure::new(without_modules(&python.display().to_string(), missing.trim(), modules)))
}

fn without_modules(python: &str, missing: &str, modules: &[&str]) -> String {
    let packages = modules.join(" ").replace("PIL", "pillow").replace("lycoris", "lycoris-lora");
    format!("{python} lacks the modules {missing}; install them with\n  {python} -m pip install {packages}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_module_comes_with_the_line_that_installs_it() {
        assert_eq!(
            without_modules("python3", "torch PIL", &MODULES),
            "python3 lacks the modules torch PIL; install them with\n  \
             python3 -m pip install torch diffusers transformers accelerate peft lycoris-lora safetensors pillow"
        );
    }

    #[test]
    fn a_missing_python_is_named() {
        let failure = check(Path::new("no-such-python")).unwrap_err();
        assert!(failure.message.starts_with("cannot run `no-such-python`"), "{}", failure.message);
        assert!(failure.message.ends_with("--python"), "{}", failure.message);
    }
}
