use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ae_eval::{PictureScorer, Plan, Tally};
use ae_tensor::FloatType;
use ae_vision::{Captioner, ClipModel, ClipScorer};
use attend_and_excite::evaluation::{CaptionSimilarity, ClipSimilarity, DetectorScorer, name_of};

use super::opened;
use crate::Verbosity;
use crate::args::EvalScoreArgs;
use crate::error::CliError;
use crate::interrupts::Interrupts;
use crate::models;
use crate::output::{say, try_places};

/// Pictures between two lines that say how far it is.
const STRIDE: usize = 500;

/// Scores the pictures of a folder that are not scored yet.
pub(super) fn score(args: &EvalScoreArgs, verbosity: Verbosity, interrupts: &Interrupts) -> Result<(), CliError> {
    let (folder, plan) = opened(&args.folder, args.results.as_deref())?;
    let names = arms(&args.methods, &plan)?;
    try_places("--results", [folder.results()])?;
    let interrupted = interrupts.flag();
    for mut scorer in scorers(args, &plan, verbosity.quiet)? {
        let who = scorer.scorer().name.clone();
        for arm in &names {
            let mut said = 0;
            let mut observe = |tally: Tally| {
                if !verbosity.quiet && tally.scored >= said + STRIDE {
                    said = tally.scored;
                    say(&format!("{who} of {arm}: {said} pictures scored so far"));
                }
                if interrupted.load(Ordering::SeqCst) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let tally = folder.score(&plan, arm, &mut *scorer, &mut observe)?;
            if !verbosity.quiet {
                let missing = match tally.missing {
                    0 => String::new(),
                    missing => format!(", {missing} not drawn"),
                };
                let (scored, known) = (tally.scored, tally.known);
                say(&format!("{who} of {arm}: {scored} pictures scored, {known} already scored{missing}"));
            }
        }
    }
    Ok(())
}

/// The arms to score, which the plan must have.
fn arms(wanted: &[String], plan: &Plan) -> Result<Vec<String>, CliError> {
    let known: Vec<_> = plan.arms.iter().map(|arm| arm.name.clone()).collect();
    if wanted.is_empty() {
        return Ok(known);
    }
    match wanted.iter().find(|name| !known.contains(name)) {
        Some(name) => Err(CliError::Usage(format!("no method '{name}' in the folder: it has {}", known.join(", ")))),
        None => Ok(wanted.to_vec()),
    }
}

/// Those that the command line asks for, and the detector where it knows what the prompts ask for.
fn scorers(args: &EvalScoreArgs, plan: &Plan, quiet: bool) -> Result<Vec<Box<dyn PictureScorer>>, CliError> {
    let device = models::devices(&[args.device], FloatType::F32, quiet)[0].open()?;
    let mut scorers: Vec<Box<dyn PictureScorer>> = Vec::new();
    let detector = if args.no_detector { None } else { DetectorScorer::embedded(&device)? };
    let knowing = detector.filter(|detector| plan.prompts.iter().any(|prompt| detector.knows(prompt)));
    scorers.extend(knowing.map(|detector| Box::new(detector) as Box<dyn PictureScorer>));
    if let Some(folder) = &args.clip {
        let clip = ClipModel::load(folder, FloatType::F32, &device).map_err(CliError::scorer)?;
        let clip = Arc::new(ClipScorer::new(clip));
        let name = name_of(folder);
        scorers.push(Box::new(ClipSimilarity::new(Arc::clone(&clip), &name)));
        if let Some(folder) = &args.blip {
            let captioner = Captioner::load(folder, FloatType::F32, &device).map_err(CliError::scorer)?;
            scorers.push(Box::new(CaptionSimilarity::new(captioner, &name_of(folder), clip, &name)));
        }
    }
    if scorers.is_empty() {
        let reason = "nothing to score with: the detector of the embedded model knows none of the prompts; name a CLIP folder \
                      with --clip";
        return Err(CliError::Usage(reason.to_owned()));
    }
    Ok(scorers)
}
