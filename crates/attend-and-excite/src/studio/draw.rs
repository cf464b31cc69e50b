use std::ops::ControlFlow;

use ae_figures::Step;
use ae_pipeline::{Event, Picture, Prepared};
use ae_server::{Drawn, EngineError, GenerateRequest, PICTURE_NAMES, Update};
use ae_settings::Settings;

use super::catalogue::Listed;
use super::{failed, refused};
use crate::LoadedModel;
use crate::explanation::explanation;
use crate::record::write_png;
use crate::recorder::{Previews, draw_and_record, expected_terms, figure_subjects, figure_tokens};

/// Share of the time that previews may take.
const PREVIEW_SHARE: f64 = 0.2;

/// One seed of a job.
pub(super) struct Job<'a> {
    pub(super) request: &'a GenerateRequest,
    pub(super) listed: &'a Listed,
    pub(super) model: &'a LoadedModel,
    pub(super) prepared: Prepared,
}

type Observer<'a> = dyn FnMut(Update<'_>) -> ControlFlow<()> + Send + 'a;

impl Job<'_> {
    pub(super) fn draw(self, observe: &mut Observer<'_>) -> Result<Drawn, EngineError> {
        let Self { request, prepared, .. } = &self;
        let seed = prepared.settings().seed;
        let (picture, steps) = self.run(prepared, observe)?;
        let plain_prepared = prepared.clone().plain();
        let plain = request.has_plain().then(|| self.run(&plain_prepared, observe)).transpose()?;

        let settings = self.settings(prepared, seed);
        let picture_file = encode(&settings, &picture)?;
        let plain_settings = self.settings(&plain_prepared, seed);
        let plain_file = plain.as_ref().map(|(plain, _)| encode(&plain_settings, plain)).transpose()?;
        let explanation = explanation(self.model, prepared, &settings, (&picture, steps), plain, self.command(seed))
            .map_err(|error| failed(&error))?;
        let record = explanation.record_with_pictures(&PICTURE_NAMES);
        Ok(Drawn { picture: picture_file, plain: plain_file, record, trace: explanation.trace })
    }

    /// The settings of an image, with the model as clients name it.
    fn settings(&self, prepared: &Prepared, seed: u64) -> Settings {
        let mut settings = self.model.settings(prepared, seed);
        settings.model = Some(self.listed.id.clone());
        settings
    }

    /// The call of `ae generate` that draws the same.
    fn command(&self, seed: u64) -> String {
        let mut request = self.request.clone();
        request.seeds = vec![seed];
        request.command_line(self.listed.public_option())
    }

    /// One run, told to the observer.
    fn run(&self, prepared: &Prepared, observe: &mut Observer<'_>) -> Result<(Picture, Vec<Step>), EngineError> {
        let tokens = figure_tokens(prepared.prompt(), prepared.subjects());
        let subjects = figure_subjects(prepared.subjects());
        let Settings { method, steps: num_steps, .. } = *prepared.settings();
        let terms = expected_terms(prepared, &subjects);
        let pipeline = &self.model.pipeline;
        let about_model = pipeline.notice().map(str::to_owned).into_iter().chain(pipeline.notes().iter().cloned());
        let notes: Vec<_> = about_model.chain(prepared.notes().iter().cloned()).collect();
        let (tokens, subjects, terms, notes) = (&*tokens, &*subjects, &*terms, &*notes);
        let started = Update::Started { method, num_steps, tokens, subjects, terms, notes };
        if observe(started).is_break() {
            return Err(EngineError::Interrupted);
        }
        let previews = Some(Previews::Share(PREVIEW_SHARE));
        let drawn = draw_and_record(&self.model.pipeline, prepared, previews, &mut (), &mut |event, latest| match (
            event, latest,
        ) {
            (Event::Evaluated { step, iteration, losses, .. }, _) => {
                let losses: Vec<_> = losses.values().collect();
                observe(Update::Loss { step: *step, iteration: *iteration, losses: &losses })
            }
            (Event::Denoised { .. }, Some(step)) => observe(Update::Step(step)),
            _ => ControlFlow::Continue(()),
        });
        drawn.map_err(refused)?.into_iter().next().ok_or_else(|| failed(&"the pipeline gave no picture"))
    }
}

fn encode(settings: &Settings, picture: &Picture) -> Result<Vec<u8>, EngineError> {
    let mut file = Vec::new();
    write_png(&mut file, &picture.image, settings, &picture.trace.subjects)
        .map(|()| file)
        .map_err(|error| failed(&error))
}
