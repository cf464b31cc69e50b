//! One seed as figures and reports show it.

use ae_figures::{Explanation, Run, Step};
use ae_pipeline::{Picture, Prepared};
use ae_settings::{Method, Overrides, Settings};
use serde_json::Value;

use crate::recorder::{figure_subjects, figure_terms, figure_tokens};
use crate::{Error, LoadedModel};

/// What there is to show of an image that a model has drawn and its steps, and of the plain one beside it.
///
/// # Errors
///
/// When the detector of the embedded model's subjects cannot look at its pictures.
pub fn explanation(
    model: &LoadedModel,
    prepared: &Prepared,
    settings: &Settings,
    (picture, steps): (&Picture, Vec<Step>),
    plain: Option<(Picture, Vec<Step>)>,
    command: String,
) -> Result<Explanation, Error> {
    let subjects = prepared.subjects();
    let figure_subjects = figure_subjects(subjects);
    let (plain, plain_steps) = plain.unzip();
    let plain = plain.as_ref().zip(plain_steps).map(|(plain, steps)| (Method::StableDiffusion, plain, steps));
    let runs = std::iter::once((settings.method, picture, steps)).chain(plain).map(|(method, picture, steps)| {
        Ok(Run {
            method: method.name().to_owned(),
            // Maps lie over what was drawn, which may be a part of the picture.
            picture: picture.part.as_ref().unwrap_or(&picture.image).clone(),
            found: found(model, picture)?,
            steps,
        })
    });
    let runs = runs.collect::<Result<_, Error>>()?;
    Ok(Explanation {
        prompt: settings.prompt.clone(),
        seed: picture.seed,
        command,
        settings: Value::Object(settings.to_json()),
        defaults: Value::Object(defaults(model, settings.method).to_json()),
        trace: serde_json::to_value(&picture.trace).unwrap_or_default(),
        tokens: figure_tokens(prepared.prompt(), subjects),
        terms: figure_terms(&picture.trace, &figure_subjects),
        subjects: figure_subjects,
        layers: prepared.shown_layers(),
        runs,
    })
}

/// What the model does where nothing but the method is given.
fn defaults(model: &LoadedModel, method: Method) -> Settings {
    let pipeline = &model.pipeline;
    let mut settings = Settings::default();
    let mut given = Overrides::default();
    given.method = Some(method);
    settings.apply(&given.clone().over(&pipeline.settings_under(&given)));
    let [height, width] = pipeline.default_size();
    (settings.height, settings.width) = (settings.height.or(Some(height)), settings.width.or(Some(width)));
    settings.scheduler = settings.scheduler.or_else(|| pipeline.default_scheduler().ok());
    settings
}

/// The subjects that the detector finds in a picture of the embedded model; none of another model's, for it has seen no other
/// pictures.
#[cfg(feature = "eval")]
fn found(model: &LoadedModel, picture: &Picture) -> Result<Option<Vec<String>>, Error> {
    if !model.is_embedded() {
        return Ok(None);
    }
    let detector = crate::evaluation::DetectorScorer::embedded(&model.device.open()?)?;
    let found = detector.map(|detector| detector.found(std::slice::from_ref(&picture.image))).transpose()?;
    Ok(found.and_then(|found| found.into_iter().next()))
}

/// No detector is compiled in.
#[cfg(not(feature = "eval"))]
#[expect(clippy::unnecessary_wraps, reason = "as with a detector")]
fn found(_: &LoadedModel, _: &Picture) -> Result<Option<Vec<String>>, Error> {
    Ok(None)
}
