//! The command `ae`: Attend-and-Excite from the command line.

mod args;
mod commands;
mod error;
mod interrupts;
mod models;
mod output;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::args::{Cli, Command};
use crate::error::CliError;

/// How much a command says beside its results.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verbosity {
    /// Nothing but errors.
    pub(crate) quiet: bool,
    /// Everything.
    pub(crate) verbose: bool,
}

fn main() -> ExitCode {
    clap_complete::CompleteEnv::with_factory(Cli::command).complete();
    let Cli { command, quiet, verbose } = Cli::parse();
    let verbosity = Verbosity { quiet, verbose };
    let result = match command {
        Command::Generate(args) => commands::generate(&args, verbosity),
        Command::Explain(args) => commands::explain(*args, verbosity),
        Command::Serve(args) => commands::serve(&args, verbosity),
        Command::Eval { command } => commands::eval(command, verbosity),
        Command::Tokens(args) => commands::tokens(&args, verbosity),
        Command::Models { command } => commands::models(command, verbosity),
        Command::Inspect { name, json } => commands::inspect(&name, json),
        Command::Devices => commands::devices(),
        Command::SelfTest(args) => commands::self_test(&args, verbosity),
        #[cfg(feature = "embedded")]
        Command::Notices => {
            output::print(attend_and_excite::embedded::NOTICES);
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::say(&format!("error: {error}"));
            match error {
                CliError::Usage(_) => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
