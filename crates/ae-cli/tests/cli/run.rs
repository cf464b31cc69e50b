//! Running the binary in a folder of its own.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// An empty folder in which commands run.
pub(crate) struct Place(TempDir);

/// What a command left: exit code, standard output, standard error.
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The command, not yet run: without a network, with a cache and a config of its own.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ae"));
        command.args(args).current_dir(self.path()).env_remove("RUST_BACKTRACE");
        command.env("HF_HUB_OFFLINE", "1").env("HF_HOME", "cache").env("XDG_CONFIG_HOME", self.path().join("config"));
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        Outcome::from(self.command(args).output().expect("the command starts"))
    }

    /// Every file below the folder, sorted, with `/`.
    pub(crate) fn files(&self) -> Vec<String> {
        fn walk(folder: &Path, prefix: &str, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).expect("a readable folder") {
                let entry = entry.expect("an entry");
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                if entry.path().is_dir() {
                    walk(&entry.path(), &format!("{name}/"), found);
                } else {
                    found.push(name);
                }
            }
        }
        let mut found = Vec::new();
        walk(self.path(), "", &mut found);
        found.sort();
        found
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8 on the terminal");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "exit code: {:?}", self.code)?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                write!(f, "--- {name}\n{text}")?;
            }
        }
        Ok(())
    }
}
