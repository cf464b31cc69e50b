use std::process::Command;
use std::time::Instant;

use clap::ValueEnum;

use crate::failure::Failure;
use crate::process::{run as run_program, workspace_cargo};
use crate::{layers, package, test};

/// Everything that must hold before a change is merged, cheapest first
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run only these steps
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    only: Vec<Step>,
    /// Check the code of GPUs too: compiles their runtimes, which takes some minutes the first time
    #[arg(long)]
    gpu: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// The code is formatted
    Format,
    /// The crates depend on each other in one direction only
    Layers,
    /// No warning, of the compiler or of clippy
    Clippy,
    /// The documentation builds, without a broken link
    Docs,
    /// Unit, integration and documentation tests pass
    Test,
    /// The library crates can be published
    Package,
}

pub(crate) fn run(Arguments { only, gpu }: &Arguments) -> Result<(), Failure> {
    for step in Step::value_variants().iter().filter(|step| only.is_empty() || only.contains(step)) {
        let name = step.name();
        let start = Instant::now();
        eprintln!("== {name}");
        let result = step.run(*gpu);
        let seconds = start.elapsed().as_secs_f64();
        if let Err(Failure { message, code }) = result {
            let message = format!("check '{name}' failed after {seconds:.1} s: {message}");
            return Err(Failure { message, code });
        }
        eprintln!("== {name}: passed in {seconds:.1} s");
    }
    Ok(())
}

impl Step {
    fn name(self) -> String {
        let value = self.to_possible_value().expect("no step is skipped");
        value.get_name().to_owned()
    }

    /// All in release: clippy and rustdoc then share one check of the dependencies, and their build scripts and
    /// macros with the tests.
    fn run(self, gpu: bool) -> Result<(), Failure> {
        match self {
            Self::Format => run_program(workspace_cargo().args(["fmt", "--all", "--check"])),
            Self::Layers => layers::run(),
            Self::Clippy => {
                let mut clippy = checking(&["clippy", "--release", "--all-targets"], gpu);
                if gpu {
                    // The tests that run on one; they are no part of a package.
                    clippy.args(["--features", "ae-tests/wgpu"]);
                }
                run_program(clippy.args(["--", "-D", "warnings"]))
            }
            Self::Docs => {
                run_program(checking(&["doc", "--release", "--no-deps"], gpu).env("RUSTDOCFLAGS", "-D warnings"))
            }
            Self::Test => test::run(&test::Arguments::default()),
            Self::Package => package::run(checking(&["check", "--release"], gpu)),
        }
    }
}

/// A cargo that looks at code without running it, and so can look at that of any GPU.
fn checking(arguments: &[&str], gpu: bool) -> Command {
    let mut cargo = workspace_cargo();
    cargo.args(arguments);
    if gpu {
        // DOCS_RS keeps the LLVM bundle of the CUDA and ROCm compilers from being downloaded.
        cargo.args(["--features", "ae-cli/wgpu,ae-cli/vulkan,ae-cli/cuda,ae-cli/rocm"]).env("DOCS_RS", "1");
    }
    cargo
}
