use std::ops::ControlFlow;

use ae_figures::Step;
use ae_pipeline::{Event, Method, Picture, Pipeline, PipelineError, Request};
use ae_server::{Drawn, EngineError, GenerateRequest, PICTURE_NAMES, Update};
use image::RgbImage;

use super::catalogue::Listed;
use super::command::command;
use super::failed;
use super::request::subjects;
use crate::explanation::explanation;
use crate::output::{Record, encode_png};
use crate::recording::{Previews, Recorder, figure_subjects, figure_tokens};

/// Share of the time that previews may take.
const PREVIEW_SHARE: f64 = 0.2;

/// One seed of a job.
pub(crate) struct Order<'a> {
    pub(crate) request: &'a GenerateRequest,
    pub(crate) listed: &'a Listed,
    pub(crate) seed: u64,
    /// The request as the pipeline takes it.
    pub(crate) guided: Request,
    /// Also the plain picture.
    pub(crate) compare: bool,
}

type Observer<'a> = dyn FnMut(Update<'_>) -> ControlFlow<()> + Send + 'a;

impl Order<'_> {
    pub(crate) fn draw(self, pipeline: &Pipeline, observe: &mut Observer<'_>) -> Result<Drawn, EngineError> {
        let Self { request, listed, seed, guided, compare } = &self;
        let (picture, steps) = self.run(pipeline, guided, observe)?;
        let plain_request = Request { method: Method::StableDiffusion, ..guided.clone() };
        let plain = compare.then(|| self.run(pipeline, &plain_request, observe)).transpose()?;

        let encode = |image: &RgbImage, request: &Request, picture: &Picture| {
            let record = Record::new(pipeline, request, picture).of_model(&listed.id);
            let mut file = Vec::new();
            encode_png(&mut file, image, &record).map(|()| file).map_err(|error| failed(&error))
        };
        let picture_file = encode(&picture.image, guided, &picture)?;
        let plain_file = plain.as_ref().map(|(plain, _)| encode(&plain.image, &plain_request, plain)).transpose()?;
        let command = command(request, *seed, listed.option.as_deref());
        let explanation = explanation(pipeline, guided, &subjects(request), (&picture, steps), plain, command);
        let explanation = explanation.map_err(|error| failed(&error))?;
        let record = explanation.record_with_pictures(&PICTURE_NAMES);
        Ok(Drawn { picture: picture_file, plain: plain_file, record, trace: explanation.trace })
    }

    /// One run, told to the observer.
    fn run(
        &self,
        pipeline: &Pipeline,
        request: &Request,
        observe: &mut Observer<'_>,
    ) -> Result<(Picture, Vec<Step>), EngineError> {
        let prompt = pipeline.tokenize_for(request, &request.prompt).map_err(|error| failed(&error))?.prompt;
        // Plain sampling has none, but their attention is what one compares.
        let resolved = subjects(self.request).resolve(&prompt).unwrap_or_default();
        let (tokens, subjects) = (figure_tokens(&prompt, &resolved), figure_subjects(&resolved));
        let mut recorder =
            Recorder::new(pipeline, request, Previews::Share(PREVIEW_SHARE)).map_err(|error| failed(&error))?;
        let num_steps = request.num_inference_steps;
        let started =
            Update::Started { method: request.method.name(), num_steps, tokens: &tokens, subjects: &subjects };
        if observe(started).is_break() {
            return Err(EngineError::Interrupted);
        }
        let output = pipeline.generate(request, &mut |event| {
            recorder.observe(&event)?;
            match (&event, recorder.latest()) {
                (Event::Evaluated { step, iteration, losses, .. }, _) => {
                    let losses: Vec<_> = losses.values().collect();
                    observe(Update::Loss { step: *step, iteration: *iteration, losses: &losses })
                }
                (Event::Denoised { .. }, Some(step)) => observe(Update::Step(step)),
                _ => ControlFlow::Continue(()),
            }
        });
        let steps = recorder.finish().map_err(|error| failed(&error))?.into_iter().next().unwrap_or_default();
        let picture = output.map_err(refused)?.pictures.into_iter().next();
        picture.map(|picture| (picture, steps)).ok_or_else(|| failed(&"the pipeline gave no picture"))
    }
}

fn refused(error: PipelineError) -> EngineError {
    match error {
        PipelineError::Interrupted => EngineError::Interrupted,
        error => failed(&error),
    }
}
