//! The command `ae`: Attend-and-Excite from the command line.

mod args;
mod commands;
mod error;
mod heap;
mod interrupts;
mod models;
mod output;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::args::defaults::UserDefaults;
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
    let parsed = match Cli::try_parse() {
        // What the user has set must not keep the user from changing it.
        Ok(cli) if matches!(cli.command, Command::Config { .. }) => Ok(cli),
        // Also a mistake is told without it.
        Err(error) => Err(error),
        Ok(_) => match UserDefaults::read() {
            Ok(defaults) => defaults.parse(),
            Err(error) => return finish(Err(error), 0),
        },
    };
    let Cli { command, quiet, verbose } = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            output::print_clap(&error);
            return finish(Ok(()), u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let verbosity = Verbosity { quiet, verbose };
    let result = match command {
        Command::Generate(args) => commands::generate(&args, verbosity),
        Command::Explain(args) => commands::explain(*args, verbosity),
        Command::Serve(args) => commands::serve(&args, verbosity),
        Command::Eval { command } => commands::eval(command, verbosity),
        Command::Tokens(args) => commands::tokens(&args, verbosity),
        Command::Models { command } => commands::models(command, verbosity),
        Command::Inspect { name, json } => commands::inspect(&name, json),
        Command::Convert(args) => commands::convert(&args, verbosity),
        Command::Devices => commands::devices(),
        Command::Config { command } => commands::config(command),
        Command::SelfTest(args) => commands::self_test(&args, verbosity),
        #[cfg(feature = "embedded")]
        Command::Notices => {
            output::print(attend_and_excite::embedded::NOTICES);
            Ok(())
        }
    };
    finish(result, 0)
}

/// Says what went wrong, also with the output itself; `code` is that of a command that did not fail.
fn finish(result: Result<(), CliError>, code: u8) -> ExitCode {
    match result.and_then(|()| output::finish_printing().map_err(CliError::Print)) {
        Ok(()) => ExitCode::from(code),
        Err(error) => {
            output::say_error(&error);
            match error {
                CliError::Usage(_) => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
