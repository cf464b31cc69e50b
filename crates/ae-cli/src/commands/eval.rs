//! Evaluations: one file per part.

mod arms;
mod prompts;
mod run;

use crate::args::EvalCommand;
use crate::error::CliError;

pub(crate) fn eval(command: EvalCommand) -> Result<(), CliError> {
    match command {
        EvalCommand::Run(args) => run::run(&args),
    }
}
