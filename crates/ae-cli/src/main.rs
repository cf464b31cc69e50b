//! The command `ae`: Attend-and-Excite from the command line.

mod args;
mod commands;
mod drawing;
#[cfg(feature = "embedded")]
mod embedded;
mod error;
mod explanation;
mod interrupts;
mod model;
mod output;
mod painter;
mod recording;
mod requests;
mod studio;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::error::CliError;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Generate(args) => commands::generate(&args),
        Command::Explain(args) => commands::explain(*args),
        Command::Serve(args) => commands::serve(&args),
        Command::Eval { command } => commands::eval(command),
        Command::Tokens(args) => commands::tokens(&args),
        Command::Models => commands::models(),
        Command::Devices => commands::devices(),
        Command::SelfTest(args) => commands::self_test(&args),
        #[cfg(feature = "embedded")]
        Command::Notices => {
            output::print(embedded::NOTICES);
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
