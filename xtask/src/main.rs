//! The tasks of the workspace; `cargo xtask --help` lists them.

#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a command line tool")]

mod bench;
mod check;
mod failure;
mod fixtures;
mod generate;
mod layers;
mod lines;
mod metadata;
mod package;
mod process;
mod python;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;

/// Tasks of the workspace
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

// What each does is said at its arguments.
#[derive(Debug, Subcommand)]
enum Task {
    Generate(generate::Arguments),
    Studio(generate::StudioArguments),
    Test(test::Arguments),
    Check(check::Arguments),
    /// Verify that the crates depend on each other in one direction only
    Layers,
    /// Count the lines of code of every crate, without tests, comments and blank lines
    Lines,
    Fixtures(fixtures::Arguments),
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Generate(arguments) => generate::run(&arguments),
        Task::Studio(arguments) => generate::run_studio(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Check(arguments) => check::run(&arguments),
        Task::Layers => layers::run(),
        Task::Lines => lines::run(),
        Task::Fixtures(arguments) => fixtures::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { message, code }) => {
            eprintln!("error: {message}");
            ExitCode::from(code)
        }
    }
}
