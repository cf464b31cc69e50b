//! A run as it is shown: what its events say of every step.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use ae_figures::{Step, StepGuidance, Subject, Term, Token, TokenMaps};
use ae_pipeline::{
    AttentionMaps, Event, GuidanceTrace, Losses, Picture, Pipeline, PipelineError, Prepared, Processor, StepTrace,
    TokenKind, TokenizedPrompt, Trace,
};
use image::RgbImage;

/// At which steps the latents are decoded to be looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Previews {
    /// At every N-th step and the last.
    Every(usize),
    /// As often as it takes no more than this share of the time.
    Share(f64),
}

/// Draws a prepared request and keeps every step of its images; `observe` hears of every event, with the step it has made of
/// the first image, and ends the run by breaking. Without `previews` no step is kept. `processor` sees the attention of the
/// noise predictions; `()` leaves it alone.
///
/// # Errors
///
/// As [`Pipeline::draw`].
pub fn draw_and_record(
    pipeline: &Pipeline,
    prepared: &Prepared,
    previews: Option<Previews>,
    processor: &mut Processor<'_>,
    observe: &mut (dyn FnMut(&Event<'_>, Option<&Step>) -> ControlFlow<()> + Send),
) -> Result<Vec<(Picture, Vec<Step>)>, PipelineError> {
    let mut recorder = previews.map(|previews| Recorder::new(pipeline, prepared, previews));
    let output = pipeline.draw_with(prepared, processor, &mut |event: Event<'_>| {
        if let Some(recorder) = &mut recorder {
            recorder.observe(&event)?;
        }
        observe(&event, recorder.as_ref().and_then(Recorder::latest))
    });
    let mut steps = recorder.map_or(Ok(Vec::new()), Recorder::finish)?.into_iter();
    Ok(output?.pictures.into_iter().map(|picture| (picture, steps.next().unwrap_or_default())).collect())
}

/// Keeps every step of the pictures of one request.
struct Recorder<'a> {
    pipeline: &'a Pipeline,
    tiled: bool,
    /// The positions whose maps are kept.
    tokens: Vec<usize>,
    /// The names of the subjects of all texts, where the prompt changes: a step has the losses of some of them.
    names: Option<Vec<String>>,
    previews: Previews,
    started: Instant,
    decoding: Duration,
    /// Of every picture.
    steps: Vec<Vec<Step>>,
    failure: Option<PipelineError>,
}

impl<'a> Recorder<'a> {
    fn new(pipeline: &'a Pipeline, prepared: &Prepared, previews: Previews) -> Self {
        let mut steps = Vec::new();
        steps.resize_with(prepared.seeds().len(), Vec::new);
        Self {
            pipeline,
            tiled: prepared.settings().vae_tiling,
            tokens: prepared
                .prompt()
                .tokens()
                .iter()
                .filter(|token| token.span.is_some())
                .map(|token| token.index)
                .collect(),
            names: (prepared.guided_subjects().len() > 1)
                .then(|| prepared.subjects().iter().map(|subject| subject.text.clone()).collect()),
            previews,
            started: Instant::now(),
            decoding: Duration::ZERO,
            steps,
            failure: None,
        }
    }

    /// Takes in an event; breaks when a preview cannot be made.
    fn observe(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        let Event::Denoised { step, num_steps, traces, attention, latents, .. } = event else {
            return ControlFlow::Continue(());
        };
        let mut previews = Vec::new();
        if self.wants_preview(*step, *num_steps) {
            let start = Instant::now();
            match self.pipeline.decode_tiled((*latents).clone(), self.tiled) {
                Ok(pictures) => previews = pictures,
                Err(error) => {
                    self.failure = Some(error);
                    return ControlFlow::Break(());
                }
            }
            self.decoding += start.elapsed();
        }
        let mut previews = previews.into_iter();
        for (picture, (steps, trace)) in self.steps.iter_mut().zip(*traces).enumerate() {
            let maps = attention.get(picture).map(|maps| token_maps(maps, &self.tokens));
            steps.push(figure_step((*step, *num_steps), trace, self.names.as_deref(), maps, previews.next()));
        }
        ControlFlow::Continue(())
    }

    /// What was seen last of the first picture.
    fn latest(&self) -> Option<&Step> {
        self.steps.first().and_then(|steps| steps.last())
    }

    /// The steps of every picture, or why they could not be kept.
    fn finish(self) -> Result<Vec<Vec<Step>>, PipelineError> {
        self.failure.map_or(Ok(self.steps), Err)
    }

    fn wants_preview(&self, step: usize, num_steps: usize) -> bool {
        match self.previews {
            Previews::Every(stride) => step.is_multiple_of(stride) || step + 1 == num_steps,
            Previews::Share(share) => self.decoding.as_secs_f64() <= share * self.started.elapsed().as_secs_f64(),
        }
    }
}

fn token_maps(maps: &AttentionMaps, tokens: &[usize]) -> TokenMaps {
    let [rows, cols] = maps.resolution();
    let values = tokens.iter().flat_map(|token| maps.map(*token)).copied().collect();
    TokenMaps::new(rows, cols, tokens.to_vec(), values)
}

fn figure_step(
    (step, num_steps): (usize, usize),
    trace: &StepTrace,
    names: Option<&[String]>,
    maps: Option<TokenMaps>,
    preview: Option<RgbImage>,
) -> Step {
    let guidance = trace.guidance.as_ref().map(|GuidanceTrace { evaluations, updated, .. }| {
        let evaluations = evaluations.iter().map(|losses| match names {
            None => losses.values().collect(),
            Some(names) => names.iter().map(|name| loss_of(losses, name)).collect(),
        });
        StepGuidance { evaluations: evaluations.collect(), updated: *updated }
    });
    Step { step, num_steps, timestep: trace.timestep, seconds: trace.seconds, guidance, maps, preview }
}

/// The loss of a subject; of one that the text of the step does not have it is no number.
fn loss_of(losses: &Losses, name: &str) -> f32 {
    losses.terms.iter().find(|term| term.name == name).map_or(f32::NAN, |term| term.value)
}

/// The tokens of a prompt from the start token up to the end token, without those between its chunks.
pub(crate) fn shown_tokens(prompt: &TokenizedPrompt) -> impl Iterator<Item = &ae_pipeline::Token> {
    let is_end = |token: &ae_pipeline::Token| [0, prompt.end()].contains(&token.index);
    prompt.tokens().iter().filter(move |token| token.span.is_some() || is_end(token))
}

/// The tokens of a prompt up to the end token, each with its place among the subjects.
pub fn figure_tokens(prompt: &TokenizedPrompt, subjects: &[ae_pipeline::Subject]) -> Vec<Token> {
    let shown = shown_tokens(prompt);
    let token = |token: &ae_pipeline::Token| Token {
        index: token.index,
        text: token.text.clone(),
        kind: kind_name(token.kind).to_owned(),
        subject: subjects.iter().position(|subject| subject.positions.contains(&token.index)),
    };
    shown.map(token).collect()
}

/// The name of a kind in reports and in the API.
pub(crate) fn kind_name(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Start => "start",
        TokenKind::Text => "text",
        TokenKind::Special => "special",
        TokenKind::End => "end",
        TokenKind::Padding => "padding",
    }
}

/// The subjects as figures show them.
pub fn figure_subjects(subjects: &[ae_pipeline::Subject]) -> Vec<Subject> {
    let subject =
        |subject: &ae_pipeline::Subject| Subject { text: subject.text.clone(), positions: subject.positions.clone() };
    subjects.iter().map(subject).collect()
}

/// The terms of the loss of a run as figures show them: as its first evaluation names them. A term with the name of a subject
/// belongs to that. A run without an evaluation has one term per subject.
pub(crate) fn figure_terms(trace: &Trace, subjects: &[Subject]) -> Vec<Term> {
    let mut guided = trace.steps.iter().filter_map(|step| step.guidance.as_ref()?.evaluations.first());
    let names_of = |losses: &Losses| losses.terms.iter().map(|term| term.name.clone()).collect::<Vec<_>>();
    let first = guided.next();
    // Where the prompt changes, so may the terms: then they are those of the subjects.
    if first.is_some_and(|first| guided.any(|other| names_of(other) != names_of(first))) {
        return Term::per_subject(subjects);
    }
    let names = first.map(|losses| losses.terms.iter().map(|term| term.name.as_str()));
    names.map_or_else(|| Term::per_subject(subjects), |names| named_terms(names, subjects))
}

/// The terms of the loss as figures have them, before the first is computed.
pub(crate) fn expected_terms(prepared: &Prepared, subjects: &[Subject]) -> Vec<Term> {
    match &*prepared.term_names() {
        [] => Term::per_subject(subjects),
        names => named_terms(names.iter().map(String::as_str), subjects),
    }
}

fn named_terms<'a>(names: impl Iterator<Item = &'a str>, subjects: &[Subject]) -> Vec<Term> {
    let is_named = |index: &usize, name: &str| subjects.get(*index).is_some_and(|subject| subject.text == name);
    let term = |(index, name): (usize, &str)| {
        // Two subjects may have the same name: the one in the term's place comes first.
        let subject = std::iter::once(index).chain(0..subjects.len()).find(|index| is_named(index, name));
        Term { name: name.to_owned(), subject }
    };
    names.enumerate().map(term).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_those_of_the_objective() {
        let subjects = ["cat", "dog", "cat"].map(|text| Subject { text: text.to_owned(), positions: vec![2] });
        let of = |names: &[&'static str]| {
            let terms = named_terms(names.iter().copied(), &subjects);
            terms.iter().map(|term| term.subject).collect::<Vec<_>>()
        };
        assert_eq!(of(&["cat", "dog", "cat"]), [Some(0), Some(1), Some(2)]);
        assert_eq!(of(&["overlap", "dog", "size", "cat"]), [None, Some(1), None, Some(0)]);
        assert_eq!(figure_terms(&Trace::default(), &subjects), Term::per_subject(&subjects));
    }
}
