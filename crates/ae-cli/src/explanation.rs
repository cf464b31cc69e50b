//! One seed as figures and reports show it.

use ae_figures::{Explanation, Run, Step, Term};
use ae_pipeline::{Method, Picture, Pipeline, Request, SubjectChoice};

use crate::error::CliError;
use crate::output::Record;
use crate::recording::{figure_subjects, figure_tokens};

/// What there is to show of a picture and its steps, and of the plain one beside it. `choice` is whose attention is shown;
/// plain sampling has no subjects of its own.
pub(crate) fn explanation(
    pipeline: &Pipeline,
    request: &Request,
    choice: &SubjectChoice,
    (picture, steps): (&Picture, Vec<Step>),
    plain: Option<(Picture, Vec<Step>)>,
    command: String,
) -> Result<Explanation, CliError> {
    let prompt = pipeline.tokenize_for(request, &request.prompt)?.prompt;
    let subjects = match choice.resolve(&prompt) {
        Ok(subjects) => subjects,
        // What plain sampling draws needs no subject.
        Err(_) if request.method == Method::StableDiffusion => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let record = Record::new(pipeline, request, picture);
    let mut runs = vec![Run { method: request.method.name().to_owned(), picture: picture.image.clone(), steps }];
    runs.extend(plain.map(|(plain, steps)| Run {
        method: Method::StableDiffusion.name().to_owned(),
        picture: plain.image,
        steps,
    }));
    let figure_subjects = figure_subjects(&subjects);
    Ok(Explanation {
        prompt: request.prompt.clone(),
        seed: picture.seed,
        command,
        settings: record.settings().clone(),
        trace: record.trace(),
        tokens: figure_tokens(&prompt, &subjects),
        terms: Term::per_subject(&figure_subjects),
        subjects: figure_subjects,
        runs,
    })
}

/// A call of `ae` as one types it.
pub(crate) fn command_line(arguments: impl IntoIterator<Item = String>) -> String {
    let quoted = arguments.into_iter().map(|argument| {
        // NUL cannot be in an argument; nothing else is refused.
        shlex::try_quote(&argument).map_or_else(|_| argument.clone(), std::borrow::Cow::into_owned)
    });
    std::iter::once("ae".to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
}
