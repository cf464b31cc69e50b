//! Evaluations: one file per part.

mod report;
mod run;
mod score;

use std::path::Path;

use ae_eval::{Folder, Plan};

use crate::Verbosity;
use crate::args::{EvalCommand, of_folder};
use crate::error::CliError;
use crate::interrupts::Interrupts;

pub(crate) fn eval(command: EvalCommand, verbosity: Verbosity) -> Result<(), CliError> {
    let interrupts = Interrupts::listen()?;
    match command {
        EvalCommand::Run(args) => {
            run::run(&args, verbosity, &interrupts)?;
            if args.report {
                score::score(&of_folder(&args.output), verbosity, &interrupts)?;
                report::report(&of_folder(&args.output))?;
            }
            Ok(())
        }
        EvalCommand::Score(args) => score::score(&args, verbosity, &interrupts),
        EvalCommand::Report(args) => report::report(&args),
    }
}

/// A folder of pictures, with its scores and report in `results` if that is another.
fn opened(folder: &Path, results: Option<&Path>) -> Result<(Folder, Plan), CliError> {
    let (folder, plan) = Folder::open(folder)?;
    Ok(match results {
        Some(results) => (folder.with_results_in(results), plan),
        None => (folder, plan),
    })
}
