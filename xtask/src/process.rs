use std::env;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};

use crate::failure::Failure;

/// The folder of the workspace.
pub(crate) fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// The cargo that runs this task, in the caller's folder.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The same in the workspace's root, where no `--package` means every crate.
pub(crate) fn workspace_cargo() -> Command {
    let mut command = cargo();
    command.current_dir(workspace_root());
    command
}

/// Runs a program that shares this one's terminal.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(|error| not_started(command, &error))?;
    if status.success() { Ok(()) } else { Err(failed(command, status)) }
}

/// Runs a program in silence and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>, Failure> {
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().map_err(|error| not_started(command, &error))?;
    if status.success() {
        return Ok(stdout);
    }
    let Failure { message, code } = failed(command, status);
    Err(Failure { message: format!("{message}\n{}", String::from_utf8_lossy(&stderr).trim_end()), code })
}

/// Becomes the program: its exit code and what it does with Ctrl-C are this one's. Returns only when it fails.
#[cfg(unix)]
pub(crate) fn run_instead(command: &mut Command) -> Result<(), Failure> {
    let error = std::os::unix::process::CommandExt::exec(command);
    Err(not_started(command, &error))
}

/// Runs the program; its exit code is this one's.
#[cfg(not(unix))]
pub(crate) fn run_instead(command: &mut Command) -> Result<(), Failure> {
    run(command)
}

fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot run `{}`: {error}", command.get_program().to_string_lossy()))
}

fn failed(command: &Command, status: ExitStatus) -> Failure {
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Failure { message: format!("`{}` failed: {status}", shown(command)), code }
}

/// The command as a person would type it.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let failure = run(&mut Command::new("no-such-program")).unwrap_err();
        assert_eq!(failure.code, 1);
        assert!(failure.message.starts_with("cannot run `no-such-program`: "), "{}", failure.message);
    }

    #[test]
    fn the_exit_code_of_a_program_is_kept() {
        let failure = output(workspace_cargo().arg("no-such-command")).unwrap_err();
        assert_eq!(failure.code, 101);
        assert!(failure.message.starts_with("`cargo no-such-command` failed: "), "{}", failure.message);
    }
}
