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

pub(crate) fn run(Arguments { only }: &Arguments) -> Result<(), Failure> {
    for step in Step::value_variants().iter().filter(|step| only.is_empty() || only.contains(step)) {
        let name = step.name();
        let start = Instant::now();
        eprintln!("== {name}");
        let result = step.run();
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
    fn run(self) -> Result<(), Failure> {
        let mut cargo = workspace_cargo();
        match self {
            Self::Format => run_program(cargo.args(["fmt", "--all", "--check"])),
            Self::Layers => layers::run(),
            Self::Clippy => run_program(cargo.args(["clippy", "--release", "--all-targets", "--", "-D", "warnings"])),
            Self::Docs => run_program(cargo.args(["doc", "--release", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings")),
            Self::Test => test::run(&test::Arguments::default()),
            Self::Package => package::run(),
        }
    }
}
