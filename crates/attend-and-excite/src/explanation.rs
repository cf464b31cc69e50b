//! One seed as figures and reports show it.

use ae_figures::{Explanation, Run, Step};
use ae_pipeline::{Picture, Prepared};
use ae_settings::{Method, Settings};
use serde_json::Value;

use crate::recorder::{figure_subjects, figure_terms, figure_tokens};

/// What there is to show of an image and its steps, and of the plain one beside it.
pub fn explanation(
    prepared: &Prepared,
    settings: &Settings,
    (picture, steps): (&Picture, Vec<Step>),
    plain: Option<(Picture, Vec<Step>)>,
    command: String,
) -> Explanation {
    let subjects = prepared.subjects();
    let figure_subjects = figure_subjects(subjects);
    // Maps lie over what was drawn, which may be a part of the picture.
    let drawn = |picture: &Picture| picture.part.as_ref().unwrap_or(&picture.image).clone();
    let mut runs = vec![Run { method: settings.method.name().to_owned(), picture: drawn(picture), steps }];
    runs.extend(plain.map(|(plain, steps)| Run {
        method: Method::StableDiffusion.name().to_owned(),
        picture: drawn(&plain),
        steps,
    }));
    Explanation {
        prompt: settings.prompt.clone(),
        seed: picture.seed,
        command,
        settings: Value::Object(settings.to_json()),
        trace: serde_json::to_value(&picture.trace).unwrap_or_default(),
        tokens: figure_tokens(prepared.prompt(), subjects),
        terms: figure_terms(&picture.trace, &figure_subjects),
        subjects: figure_subjects,
        runs,
    }
}
